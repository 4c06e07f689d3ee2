"""Many runs at once, as columns: what tables of runs are made from."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

SYSTEM = "system/"
"""The beginning of the names of the machine's own metrics; their steps are no epochs."""


@dataclass(frozen=True)
class Runs:
    """Runs, column by column: position i of every list is the same run; None where it has no such value.

    `starts` and `ends` are milliseconds since 1970; `metrics` are the newest of each name, `epochs` how many
    epochs have metrics.
    """

    ids: list[str]
    names: list[str | None]
    statuses: list[str]
    starts: list[int | None]
    ends: list[int | None]
    artifact_uris: list[str]
    epochs: list[int | None]
    params: dict[str, list[str | None]]
    metrics: dict[str, list[float | None]]
    tags: dict[str, list[str | None]]

    def param(self, name: str) -> list[str | None]:
        """Return one param of all runs."""
        return self.params.get(name) or [None] * len(self.ids)

    def tag(self, name: str) -> list[str | None]:
        """Return one tag of all runs."""
        return self.tags.get(name) or [None] * len(self.ids)


@dataclass(frozen=True, eq=False)
class EpochTable:
    """The metrics of epochs, column by column: place i of every array is the same epoch of the same run.

    `runs` (int64) are positions in the list of runs that was asked for, `epochs` (int64) count from 1.
    Metrics are float64, NaN where an epoch lacks it. Sorted by run and epoch.
    """

    runs: np.ndarray
    epochs: np.ndarray
    metrics: dict[str, np.ndarray]


Point = tuple[int, int, str, float]
"""A run's position, an epoch, a metric's name and its value."""


def columns(length: int) -> defaultdict[str, list]:
    """Return columns that are made when they are first named, `length` times None."""
    return defaultdict(lambda: [None] * length)


def as_curves(points: list[Point]) -> EpochTable:
    """Bring points into columns; of two for the same epoch the later counts."""
    runs, epochs = (np.array([point[part] for point in points], np.int64) for part in (0, 1))
    values = np.array([point[3] for point in points], np.float64)
    names = np.array([point[2] for point in points])
    longest = int(epochs.max(initial=0)) + 1
    places, place = np.unique(runs * longest + epochs, return_inverse=True)
    metrics = {}
    for name in np.unique(names):
        metrics[str(name)] = column = np.full(len(places), np.nan)
        column[place[names == name]] = values[names == name]
    return EpochTable(places // longest, places % longest, metrics)
