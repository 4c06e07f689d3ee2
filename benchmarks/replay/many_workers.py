"""A search by one worker, and by up to a thousand, on a virtual clock: its time to the level, its slots' use.

A search ends with the first report that comes to the level, or when its time is over. Its coordinator does
one thing after the other: each start of a trial, and each answer to a report, takes the time that was
measured, which grows with the number of trials that run.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import numpy as np

from replay.contenders import Coordinated, Task, quiet
from replay.standing import RESAMPLES, Estimate, estimate, median
from runback.sweeping.deciding.promotion import Promotion


@dataclass(frozen=True)
class Coordination:
    """The time of a start and of an answer: measured at some numbers of trials, straight lines between."""

    running: tuple[int, ...]
    starts: tuple[float, ...]
    """Seconds of a start, at each of `running`."""
    reports: tuple[float, ...]
    """The same of an answer."""

    def __call__(self, running: int) -> tuple[float, float]:
        """Return the seconds of a start and of an answer where so many trials run."""
        start, report = (float(np.interp(running, self.running, one)) for one in (self.starts, self.reports))
        return start, report


RUNBACK = Coordinated({"_target_": "optuna.samplers.TPESampler"}, startup="covering", promotion=Promotion())


@dataclass(frozen=True)
class Use:
    """What came of the searches by so many workers; intervals are of 95 %, over the seeds."""

    workers: int
    n: int
    reached: int
    """The searches that have come to the level."""
    seconds: Estimate
    """The median time to it."""
    utilisation: Estimate
    """The mean share of the time for which slots trained."""
    trials: float
    """The mean number of trials begun."""


def uses(task: Task, counts: Sequence[int], seeds: Sequence[int], coordination: Coordination) -> list[Use]:
    """Return what comes of searches by each number of workers, with as many seeds as each has.

    The same seeds give the same searches.
    """
    costs = replace(task.costs, coordination=coordination)
    tasks = [replace(task, slots=workers, costs=costs) for workers in counts]
    jobs = [(one, seed) for one, n in zip(tasks, seeds, strict=True) for seed in range(n)]
    with ProcessPoolExecutor(2, get_context("spawn"), initializer=quiet) as pool:
        done = iter(pool.map(_search, jobs))
        found = [[next(done) for _ in range(n)] for n in seeds]
    return [_use(workers, searches) for workers, searches in zip(counts, found, strict=True)]


def _search(job: tuple[Task, int]) -> tuple[float, float, int]:
    """Return the time to the level, the use of the slots, and the trials begun."""
    task, seed = job
    engine = RUNBACK.played(task, seed, ends=True)
    is_there = any(one.reported >= task.level and one.time <= engine.ended for one in engine.history)
    trials = len({one.trial for one in engine.history})
    return engine.ended if is_there else math.inf, engine.trained / (task.slots * engine.ended), trials


def _use(workers: int, searches: Sequence[tuple[float, float, int]]) -> Use:
    seconds, shares, trials = (np.array(values) for values in zip(*searches, strict=True))
    n = len(searches)
    drawn = np.random.default_rng(0).integers(n, size=(RESAMPLES, n))
    return Use(
        workers,
        n,
        int(np.isfinite(seconds).sum()),
        estimate(float(median(seconds[None])[0]), median(seconds[drawn])),
        estimate(float(shares.mean()), shares[drawn].mean(axis=1)),
        float(trials.mean()),
    )
