"""The bounds of a number that its type declares, and ranges within them that are worth a search."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt

WIDEST = 1000
"""Whole numbers of a declared range that is searched from end to end."""


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest value of a number, infinite where it has none."""

    low: float = -math.inf
    high: float = math.inf
    is_low_open: bool = False
    """Whether the number must be greater than `low`."""
    is_high_open: bool = False

    @classmethod
    def of(cls, metadata: Iterable[Any]) -> Self:
        """Return the bounds that are among the metadata of an `Annotated`."""
        low, high, is_low_open, is_high_open = -math.inf, math.inf, False, False
        for one in _single(metadata):
            if isinstance(one, Ge | Gt):
                value: Any = one.ge if isinstance(one, Ge) else one.gt
                low, is_low_open = max((low, is_low_open), (value, isinstance(one, Gt)))
            if isinstance(one, Le | Lt):
                value = one.le if isinstance(one, Le) else one.lt
                high, is_high_open = min((high, is_high_open), (value, isinstance(one, Lt)))
        return cls(low, high, is_low_open, is_high_open)

    @property
    def is_range(self) -> bool:
        """Whether there are both."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def is_far(self, default: float | None) -> bool:
        """Tell whether a default is so near the least that the bounds say what is valid, not what is good."""
        return default is not None and 0 < default < self.low + (self.high - self.low) / 20


def _single(metadata: Iterable[Any]) -> Iterator[Any]:
    """Yield the bounds of groups of them, as `Interval` and pydantic's `Field`, one by one."""
    for one in metadata:
        inner = one if isinstance(one, GroupedMetadata) else getattr(one, "metadata", None)
        if inner is None:
            yield one
        else:
            yield from _single(inner)


def whole_range(default: float | None, bounds: Bounds) -> tuple[int, int] | None:
    """Return the ends of a declared range of whole numbers; None where it is wide, or there is none."""
    if not bounds.is_range or bounds.is_far(default):
        return None
    low = math.floor(bounds.low) + 1 if bounds.is_low_open else math.ceil(bounds.low)
    high = math.ceil(bounds.high) - 1 if bounds.is_high_open else math.floor(bounds.high)
    return (low, high) if 0 < high - low < WIDEST else None


def nearby(default: float | None, bounds: Bounds) -> list[int]:
    """Return a whole number with its half and its double, those within the bounds; empty below 2."""
    if default is None or default < 2:
        return []
    values = (int(default) // 2, int(default), int(default) * 2)
    return [value for value in values if _is_within(value, bounds)]


def _is_within(value: float, bounds: Bounds) -> bool:
    above = value > bounds.low if bounds.is_low_open else value >= bounds.low
    return above and (value < bounds.high if bounds.is_high_open else value <= bounds.high)


def inner_range(default: float | None, bounds: Bounds) -> tuple[float, float] | None:
    """Return the ends of a declared range; an end that is not in it is moved inwards."""
    middle = (bounds.low + bounds.high) / 2 if default is None else default
    low, high = float(bounds.low), float(bounds.high)
    if bounds.is_low_open:
        low = _rounded(middle / 10 if low == 0 else (low + middle) / 2)
    if bounds.is_high_open:
        high = _rounded((high + middle) / 2)
    return (low, high) if low < high else None


def guessed_range(default: float | None, bounds: Bounds) -> tuple[float, float] | None:
    """Return a tenth and ten times a positive default, of one below 1 half way to 1, within the bounds."""
    if default is None or default <= 0:
        return None
    low, high = (
        _rounded(default / 10),
        _rounded(min(10 * default, (1 + default) / 2 if default < 1 else math.inf)),
    )
    low = low if _is_within(low, bounds) else float(default if bounds.is_low_open else bounds.low)
    high = high if _is_within(high, bounds) else float(default if bounds.is_high_open else bounds.high)
    return (low, high) if low < high else None


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
