"""A sweep by the coordinator alone: a study on SQLite, TPE, a process for each trial, and no Hydra."""

import contextlib
import gc
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial, create_trial

from runback.sweeping.deciding.decisions import Decisions
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import Space, parse
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import close_study, open_study
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.engines.engine import Engine
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.events import SweepEvent, TrialEnded
from runback.sweeping.trials.failures import RETRIES, FailurePolicy
from runback.sweeping.trials.trial import Trial

SEARCHED = {
    "optimizer": "choice(sgd, adam, rmsprop)",
    "learning_rate": "tag(log, interval(0.0001, 0.1))",
    "width": "range(32, 513, 32)",
}

Task = Callable[[int, dict[str, Any]], float]
"""Gets a trial's number and params. It has to be a function within a function: that travels by value."""

PRELOADED = ("tensorflow", "keras")
"""What the server that forks the trials has imported, as in a sweep of trainings."""


def sweep(
    folder: Path,
    task: Task,
    *,
    n_trials: int,
    n_workers: int = 1,
    finished: int = 0,
    deterministic: bool = False,
    engine_in: Callable[[Path], Engine] = lambda _: LocalEngine(preload=PRELOADED),
) -> list[float]:
    """Run `n_trials` in a study with `finished` ones; return the times in seconds when they ended."""
    folder.mkdir(parents=True)
    searched = parse(SEARCHED, [], None)  # type: ignore[arg-type] - nothing here looks at config files
    study = open_study(folder, "sweep", Search.of(searched, ["maximize"], {}))
    study.add_trials([finished_trial(searched, number) for number in range(finished)])
    proposer = Proposer({"_target_": "optuna.samplers.TPESampler"}, searched, seed=0)
    ends: list[float] = []

    def note_end(event: SweepEvent) -> None:
        if isinstance(event, TrialEnded):
            ends.append(time.perf_counter())

    def new_trial(proposed: FrozenTrial, previous_run_id: str | None, device: str | None) -> Trial:
        return Trial.of(
            partial(task, proposed.number, proposed.params),
            number=proposed.number,
            sweep="sweep",
            folder=folder / str(proposed.number),
            threads=1,
            parent=None,
            previous_run_id=previous_run_id,
            device=device,
        )

    budget = Budget(finished + n_trials, None, n_workers)
    with contextlib.closing(engine_in(folder)) as engine:
        gc.freeze()  # as a sweep does
        decisions = Decisions(study, proposer, NopPruner, n_workers if deterministic else None)
        Coordinator(study, decisions, engine, budget, FailurePolicy(RETRIES), new_trial, [note_end]).run()
    close_study(study)
    return ends


def finished_trial(searched: Space, number: int) -> FrozenTrial:
    """Return a trial that was finished before: its params are drawn at random, by its number."""
    chance = random.Random(number)  # noqa: S311 - no secret
    params = {
        "optimizer": chance.choice(["sgd", "adam", "rmsprop"]),
        "learning_rate": 10 ** chance.uniform(-4, -1),
        "width": chance.randrange(32, 513, 32),
    }
    return create_trial(params=params, distributions=searched.distributions, value=chance.random())
