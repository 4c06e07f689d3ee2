"""A number with what it is worth: its interval, and how many images it was measured on."""

import math
from dataclasses import dataclass
from typing import Any, Self

from runback.statistics.interval import Interval
from runback.statistics.wilson_interval import wilson

LEAST_IMAGES = 30
"""Images that a group needs: below, an interval is wider than what one could learn from it."""

TOO_FEW = f"not enough images (below {LEAST_IMAGES})"


@dataclass(frozen=True)
class Measure:
    """A number that was measured on `n` images, and the ends of its 95 % interval where it has one."""

    value: float
    low: float | None
    high: float | None
    n: int

    @classmethod
    def share(cls, count: int, n: int) -> Self:
        """Return `count` of `n`, n at least 1, with Wilson's interval."""
        return cls(count / n, *wilson(count, n), n)

    @classmethod
    def of(cls, interval: Interval, n: int) -> Self:
        """Return an estimate; ends that are NaN are none."""
        if math.isnan(interval.low):
            return cls(interval.mean, None, None, n)
        return cls(interval.mean, interval.low, interval.high, n)

    @property
    def ends(self) -> str:
        """The interval for a person: `0.8123 to 0.8345`; empty where there is none."""
        return "" if self.low is None or self.high is None else f"{self.low:.4f} to {self.high:.4f}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


def value_of(measure: Measure | None) -> float | None:
    """Return a measure's value; None where there is none."""
    return None if measure is None else measure.value
