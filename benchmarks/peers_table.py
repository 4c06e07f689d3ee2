"""The table of searches that were run for real: a row a contender, then how far runback is ahead."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from replay.standing import RESAMPLES, Estimate, estimate, median


@dataclass(frozen=True)
class RealSearch:
    """A search that was run."""

    contender: str
    seed: int
    wall: float
    """Seconds from the start of its processes to the end of the last one that trains."""
    reports: tuple[tuple[float, float], ...]
    """Of each epoch of each trial the seconds from the start to its end, and its val_accuracy."""

    @property
    def best(self) -> float:
        """The highest val_accuracy, NaN where no epoch came to its end."""
        return max((value for _, value in self.reports), default=math.nan)

    def seconds_to(self, level: float) -> float:
        """Return the seconds until an epoch reached a level; infinite: none did, the search is censored."""
        return min((seconds for seconds, value in self.reports if value >= level), default=math.inf)

    def speed(self, n_train: int) -> float:
        """Return the images trained on in a second of the whole search."""
        return n_train * len(self.reports) / self.wall


@dataclass(frozen=True)
class Measure:
    """A column of the table."""

    name: str
    of: Callable[[RealSearch], float]
    spec: str
    more_is_better: bool


def measures(n_train: int, level: float) -> list[Measure]:
    """Return the columns."""
    return [
        Measure("images/s", lambda one: one.speed(n_train), ",.0f", True),
        Measure("wall s", lambda one: one.wall, ",.0f", False),
        Measure("best", lambda one: one.best, ".3f", True),
        Measure(f"s to val_accuracy {level:.2f}", lambda one: one.seconds_to(level), ",.0f", False),
    ]


def summary(search: RealSearch, n_train: int, level: float) -> str:
    """Return what a search came to, in a line."""
    return ", ".join(
        f"{column.name} {_shown(column.of(search), column.spec)}" for column in measures(n_train, level)
    )


def table(searches: Sequence[RealSearch], n_train: int, level: float, ours: Iterable[str]) -> list[str]:
    """Return the lines: each search's values, the medians, and how many times ahead `ours` are.

    Seeds that two contenders share are compared, by the ratio of the medians: above 1 is ahead of the peer,
    whether more or less is better. Brackets hold the 95 % bootstrap interval over the seeds. A search that
    does not reach the level is censored: it counts as longer than any that does.
    """
    columns = measures(n_train, level)
    names = list(dict.fromkeys(one.contender for one in searches))
    of = {name: sorted((s for s in searches if s.contender == name), key=lambda s: s.seed) for name in names}
    head = [column.name for column in columns]
    values = [[name, *(_values(of[name], column) for column in columns)] for name in names]
    medians = [
        [f"{name}, n = {len(of[name])}", *(_median(of[name], column) for column in columns)] for name in names
    ]
    mine = [name for name in names if name in {*ours}]
    ahead = [
        [f"{our} against {name}, n = {len(_shared(of[our], of[name]))}", *_ahead(of[our], of[name], columns)]
        for our in mine
        for name in names
        if name not in mine and _shared(of[our], of[name])
    ]
    lines = _aligned([["each seed", *head], *values])
    lines += ["", *_aligned([["medians (95 % intervals)", *head], *medians])]
    if ahead:
        lines += ["", *_aligned([["times ahead (95 % intervals)", *head], *ahead])]
    return lines


def times_ahead(ours: Sequence[float], theirs: Sequence[float], *, more_is_better: bool) -> Estimate:
    """Return how many times ahead ours are, in pairs of one seed each: the ratio of medians, bootstrapped.

    Values may be infinite. NaN: both medians are, and nothing is known of their ratio; resamples in which
    they are do not count.
    """
    above, below = (ours, theirs) if more_is_better else (theirs, ours)
    drawn = np.random.default_rng(0).integers(len(ours), size=(RESAMPLES, len(ours)))
    with np.errstate(invalid="ignore"):
        value = median(np.array([above])) / median(np.array([below]))
        resampled = median(np.array(above)[drawn]) / median(np.array(below)[drawn])
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan)
    return estimate(float(value[0]), known)


def median_of(values: Sequence[float]) -> Estimate:
    """Return the median of values, of which some may be infinite, bootstrapped."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    return estimate(float(median(np.array([values]))[0]), median(np.array(values)[drawn]))


def _values(searches: Sequence[RealSearch], column: Measure) -> str:
    return " · ".join(_shown(column.of(one), column.spec) for one in searches)


def _median(searches: Sequence[RealSearch], column: Measure) -> str:
    found = median_of([column.of(one) for one in searches])
    return _interval(found, column.spec, len(searches), "never")


def _ahead(ours: Sequence[RealSearch], theirs: Sequence[RealSearch], columns: Sequence[Measure]) -> list[str]:
    seeds = _shared(ours, theirs)
    cells = []
    for column in columns:
        mine, their = (
            [column.of(one) for one in searches if one.seed in seeds] for searches in (ours, theirs)
        )
        found = times_ahead(mine, their, more_is_better=column.more_is_better)
        cells.append(_interval(found, ".2f", len(seeds), "∞"))
    return cells


def _shared(ours: Sequence[RealSearch], theirs: Sequence[RealSearch]) -> set[int]:
    return {one.seed for one in ours} & {one.seed for one in theirs}


def _interval(found: Estimate, spec: str, n: int, infinite: str) -> str:
    """Show an estimate, without an interval where there is but one value."""
    value, low, high = (_shown(one, spec, infinite) for one in (found.value, found.low, found.high))
    return value if n == 1 else f"{value} ({low} to {high})"


def _shown(value: float, spec: str, infinite: str = "never") -> str:
    if math.isnan(value):
        return "-"
    return format(value, spec) if math.isfinite(value) else infinite


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
