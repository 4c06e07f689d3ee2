"""A number with what it is worth: its interval, and how many images it was measured on."""

from dataclasses import dataclass
from typing import Any, Self

from runback.statistics.paired_seeds import Interval
from runback.statistics.wilson_interval import wilson


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
        has_ends = interval.low == interval.low
        return cls(interval.mean, interval.low if has_ends else None, interval.high if has_ends else None, n)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}
