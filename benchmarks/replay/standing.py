"""What the searches of a contender came to, over all seeds, with intervals."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from replay.virtual_engine import Reported
from runback.statistics.wilson_interval import wilson

RESAMPLES = 2000
"""Bootstrap resamples of the seeds."""

TIMES = (60, 120, 180, 300)
"""Seconds after which the best network is looked at."""


@dataclass(frozen=True)
class Outcome:
    """One search: seconds to the level (infinite: not within its time), its network's worth at `TIMES`."""

    seconds: float
    best: tuple[float, ...]
    """The true value of the epoch with the highest report; NaN before the first report."""
    n_trials: int
    n_epochs: int


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """A contender over n seeds."""

    n: int
    share: Estimate
    """Of the seeds that reach the level, Wilson's interval."""
    median: Estimate
    """Seconds to the level, infinite where fewer than half reach it; bootstrap percentiles."""
    ratio: Estimate | None
    """Its median over the reference's; None: that one's is infinite, or it is the reference."""
    best: tuple[Estimate, ...]
    """The mean of the network's worth at `TIMES`; bootstrap percentiles."""
    n_trials: float
    n_epochs: float

    def as_json(self) -> dict[str, Any]:
        """Return it with None for what is infinite."""
        return {name: _finite(value) for name, value in asdict(self).items()}


def outcome(history: Sequence[Reported], level: float, seconds: float) -> Outcome:
    """Return what a search came to within its seconds."""
    within = [one for one in history if one.time <= seconds]
    reached = next((one.time for one in within if one.reported >= level), math.inf)
    best, kept, place = [], None, 0
    for time in TIMES:
        while place < len(within) and within[place].time <= time:
            if kept is None or within[place].reported > kept.reported:
                kept = within[place]
            place += 1
        best.append(math.nan if kept is None else kept.true)
    return Outcome(reached, tuple(best), len({one.trial for one in within}), len(within))


def standings(
    outcomes: Mapping[str, Sequence[Outcome]], reference: str | None, seed: int
) -> dict[str, Standing]:
    """Compare contenders by their outcomes on the same seeds; ratios are those to the reference's median.

    A search that has reported nothing by a time has the lowest of all searches' values there.
    """
    n = len(next(iter(outcomes.values())))
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    seconds = {name: np.array([one.seconds for one in searches]) for name, searches in outcomes.items()}
    medians = {name: median(values[drawn]) for name, values in seconds.items()}
    reported = [value for searches in outcomes.values() for one in searches for value in one.best]
    least = min((value for value in reported if not math.isnan(value)), default=math.nan)
    found = {}
    for name, searches in outcomes.items():
        reached = int(np.isfinite(seconds[name]).sum())
        best = np.array([one.best for one in searches])
        found[name] = Standing(
            n=n,
            share=Estimate(reached / n, *wilson(reached, n)),
            median=estimate(float(median(seconds[name][None])[0]), medians[name]),
            ratio=None
            if reference is None or name == reference
            else _ratio(name, reference, seconds, medians),
            best=tuple(_mean(best[:, place], drawn, least) for place in range(len(TIMES))),
            n_trials=float(np.mean([one.n_trials for one in searches])),
            n_epochs=float(np.mean([one.n_epochs for one in searches])),
        )
    return found


def median(values: np.ndarray) -> np.ndarray:
    """Return the medians of rows: of n values the ceil(n/2)-th, which is Kaplan and Meier's.

    All searches are censored at the same time, so that their estimate is the empirical distribution.
    """
    return np.asarray(np.sort(values, axis=1)[:, (values.shape[1] - 1) // 2])


def _ratio(
    name: str, reference: str, seconds: Mapping[str, np.ndarray], medians: Mapping[str, np.ndarray]
) -> Estimate | None:
    below = float(median(seconds[reference][None])[0])
    if not math.isfinite(below):
        return None
    value = float(median(seconds[name][None])[0]) / below
    with np.errstate(invalid="ignore"):
        ratios = medians[name] / medians[reference]
    return estimate(value, ratios[~np.isnan(ratios)])


def _mean(values: np.ndarray, drawn: np.ndarray, least: float) -> Estimate:
    """Estimate the mean of the seeds; `least` stands for that of one that has none yet."""
    values = np.where(np.isnan(values), least, values)
    return estimate(float(values.mean()), values[drawn].mean(axis=1))


def estimate(value: float, resampled: np.ndarray) -> Estimate:
    """Return a value with the 95 % interval of its resamples: their percentiles."""
    low, high = np.quantile(resampled, [0.025, 0.975], method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def _finite(value: Any) -> Any:
    """Return it with None for each number that JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
