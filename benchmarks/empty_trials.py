"""What a trial that does nothing costs, from the end of one to the end of the next, one at a time."""

import contextlib
import itertools
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, create_trial

from runback.sweeping import messages
from runback.sweeping.coordinator import Budget, Coordinator
from runback.sweeping.engines.local import LocalEngine
from runback.sweeping.policy import RETRIES, Policy
from runback.sweeping.process import Job
from runback.sweeping.space import Space, parse
from runback.sweeping.study import Proposer, open_study

SEARCHED = {
    "optimizer": "choice(sgd, adam, rmsprop)",
    "learning_rate": "tag(log, interval(0.0001, 0.1))",
    "width": "range(32, 513, 32)",
}


class Ends:
    """An observer that notes when trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def asked(self, number: int, params: dict[str, Any]) -> None:
        """Do nothing."""

    def reported(self, number: int, step: int, value: float) -> None:
        """Do nothing."""

    def put_back(self, number: int, failure: messages.Failed) -> None:
        """Do nothing."""

    def recovered(self, number: int, outcome: messages.Outcome) -> None:
        """Do nothing."""

    def idle(self) -> None:
        """Do nothing."""

    def ended(self, number: int, outcome: messages.Outcome) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def measure(folder: Path, finished: int, trials: int, preload: Sequence[str]) -> list[float]:
    """Run `trials` empty trials in a study with so many `finished` ones; return the seconds of each.

    The first one, which waits for the server that forks them, does not count.
    """
    folder.mkdir(parents=True)
    searched = parse(SEARCHED, [], None)  # type: ignore[arg-type] - nothing here looks at config files
    study = open_study(folder, "empty", ["maximize"], searched)
    study.add_trials([_finished(searched, number) for number in range(finished)])
    proposer = Proposer({"_target_": "optuna.samplers.TPESampler"}, searched, seed=0)
    ends = Ends()
    with contextlib.closing(LocalEngine(preload=preload)) as engine:
        _coordinator(folder, study, proposer, engine, searched, finished + trials + 1, ends).run()
    return [later - earlier for earlier, later in itertools.pairwise(ends.times)]


def _coordinator(
    folder: Path,
    study: Study,
    proposer: Proposer,
    engine: LocalEngine,
    searched: Space,
    n_trials: int,
    ends: Ends,
) -> Coordinator:
    def job(number: int, params: dict[str, Any], begun: str | None, device: str | None) -> Job:
        # A function within a function travels by value: the trial has not to import this file.
        def value() -> float:
            return float(params["learning_rate"]) * int(params["width"])

        facts: dict[str, Any] = {"sweep": "empty", "threads": 1, "parent": None, "begun": begun}
        return Job.of(value, number=number, folder=folder / str(number), device=device, **facts)

    budget = Budget(n_trials, None, 1)
    return Coordinator(study, proposer, engine, budget, Policy(RETRIES), searched.distributions, job, [ends])


def _finished(searched: Space, number: int) -> FrozenTrial:
    """Return a trial that was finished before: its params are drawn at random, by its number."""
    chance = random.Random(number)  # noqa: S311 - no secret
    params = {
        "optimizer": chance.choice(["sgd", "adam", "rmsprop"]),
        "learning_rate": 10 ** chance.uniform(-4, -1),
        "width": chance.randrange(32, 513, 32),
    }
    return create_trial(params=params, distributions=searched.distributions, value=chance.random())
