"""What a trial and a report cost the coordinator, and the database of its study, while so many trials run.

The real coordinator runs trials on a virtual clock: no process is started, so that all CPU time is its own.
A few slots do it; the other trials that run stand in the study as they would, half way through nine epochs,
and say nothing meanwhile: what they cost is that they are read. Trials of one epoch, and such of nine, give
the cost of a trial without its reports and that of one more report.
"""

import contextlib
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import psutil
from optuna.pruners import NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event

from replay.curve_model import Curve
from replay.virtual_engine import Costs, VirtualEngine
from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.optuna_internals import close_connections, database_of
from runback.sweeping.study.study_store import create_entry, open_study
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.events import SweepEvent, TrialEnded, TrialReported, TrialStarted
from runback.sweeping.trials.failures import RETRIES, FailurePolicy
from scaling.servers import seconds_of

SEARCHED = {
    "optimizer": "choice(sgd, adam, rmsprop)",
    "learning_rate": "tag(log, interval(0.0001, 0.1))",
    "width": "range(32, 513, 32)",
}

SLOTS = 5
"""Trials that really run."""

EPOCHS = 9
"""Reports of the longer trials; the shorter ones have one."""


@dataclass(frozen=True)
class Writes:
    """What was counted while so many trials ended."""

    trials: int
    reports: int
    coordinator: float
    """CPU seconds, user and system."""
    database: float
    """The same of the database's server; 0 where there is none."""
    statements: int


@dataclass(frozen=True)
class Cost:
    """The cost of a trial without its reports, or of a report."""

    milliseconds: float
    """Of the coordinator's CPU."""
    database: float
    """Milliseconds of the database's CPU."""
    statements: float


class _EnoughError(Exception):
    """The trials that are measured have ended."""


def costs(
    folder: Path, address: str | None, server: psutil.Process | None, running: int, trials: int, sampler: str
) -> tuple[Cost, Cost]:
    """Return the costs of a trial and of a report, where `running` trials run; `address` None: SQLite."""
    short, long = _measure(folder, address, server, running, trials, sampler)
    return _solved(short, long)


def _solved(short: Writes, long: Writes) -> tuple[Cost, Cost]:
    """Return what a trial and a report cost, from two mixtures of both."""
    mixtures = np.array([[one.trials, one.reports] for one in (short, long)], float)
    found = [
        np.linalg.solve(mixtures, [amount(short), amount(long)])
        for amount in (
            lambda one: 1000 * one.coordinator,
            lambda one: 1000 * one.database,
            lambda one: one.statements,
        )
    ]
    return Cost(*(float(one[0]) for one in found)), Cost(*(float(one[1]) for one in found))


def _measure(
    folder: Path,
    address: str | None,
    server: psutil.Process | None,
    running: int,
    trials: int,
    sampler: str,
) -> tuple[Writes, Writes]:
    """Return what was counted while trials of one epoch ended, and then while such of several did."""
    folder.mkdir(parents=True)
    searched = parse(SEARCHED, [], None)  # type: ignore[arg-type] - nothing here looks at config files
    with _study(folder, address, Search.of(searched, ["maximize"], {})) as study:
        bounds = [SLOTS, SLOTS + trials, 2 * SLOTS + trials + 1, 2 * SLOTS + 2 * trials + 1]
        count = 0
        marks: list[Writes] = []
        others: list[FrozenTrial] = []
        ended, reports = 0, 0

        def note_statement(*_: Any) -> None:
            nonlocal count
            count += 1

        def note(happened: SweepEvent) -> None:
            nonlocal ended, reports
            if isinstance(happened, TrialStarted) and not others:
                others.append(happened.trial)
                _add_running(study, happened.trial, running - SLOTS)
            reports += isinstance(happened, TrialReported)
            if not isinstance(happened, TrialEnded):
                return
            ended += 1
            if ended in bounds:
                usage = resource.getrusage(resource.RUSAGE_SELF)
                used = usage.ru_utime + usage.ru_stime
                of_server = 0.0 if server is None else seconds_of(server)
                marks.append(Writes(ended, reports, used, of_server, count))
            if ended == bounds[-1]:
                raise _EnoughError

        event.listen(database_of(study), "before_cursor_execute", note_statement)
        drawn = np.random.default_rng(0)

        def curve(_: Mapping[str, Any]) -> Curve:
            values = drawn.random(EPOCHS)
            return Curve(values, values, 1.0, float(drawn.uniform(0.5, 1.5)))

        def n_epochs(_: Mapping[str, Any]) -> int:
            return 1 if ended < bounds[1] else EPOCHS

        engine = VirtualEngine(curve, Costs(0.0, 0.0), n_epochs)
        proposer = Proposer({"_target_": f"optuna.samplers.{sampler}"}, searched, seed=0)
        budget = Budget(None, None, SLOTS)
        with contextlib.suppress(_EnoughError):
            Coordinator(
                study, Decisions(study, proposer, NopPruner), engine, budget, FailurePolicy(RETRIES),
                engine.new_trial, [note], clock=engine.clock,
            ).run()  # fmt: skip
        return _between(*marks[:2]), _between(*marks[2:])


def _between(first: Writes, last: Writes) -> Writes:
    return Writes(
        last.trials - first.trials,
        last.reports - first.reports,
        last.coordinator - first.coordinator,
        last.database - first.database,
        last.statements - first.statements,
    )


def _add_running(study: Study, like: FrozenTrial, count: int) -> None:
    """Add trials that run, and have reported half of their epochs."""
    for _ in range(count):
        other = create_trial(
            state=TrialState.RUNNING,
            params=like.params,
            distributions=like.distributions,
            intermediate_values=dict.fromkeys(range(1, 1 + EPOCHS // 2), 0.5),
        )
        create_entry(study, other)


@contextlib.contextmanager
def _study(folder: Path, address: str | None, search: Search) -> Iterator[Study]:
    if address is None:
        study = open_study(folder, "sweep", search)
    else:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(address), study_name=str(folder), direction="maximize"
        )
    try:
        yield study
    finally:
        close_connections(study)
