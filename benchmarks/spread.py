"""Numbers measured several times: their median, and how far they spread."""

import statistics
from collections.abc import Sequence


def shown(values: Sequence[float], spec: str, unit: str = "") -> str:
    """Return `median (smallest to largest, n = count)`, each number in the format `spec`."""
    low, middle, high = (format(f(values), spec) for f in (min, statistics.median, max))
    return f"{middle}{unit} ({low} to {high}, n = {len(values)})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each pair: the two were measured one after the other, on a machine in one mood."""
    return [a / b for a, b in zip(above, below, strict=True)]
