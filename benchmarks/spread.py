"""Numbers measured several times: their median, and how far they spread."""

import statistics
from collections.abc import Sequence

from scipy import stats


def shown(values: Sequence[float], spec: str, unit: str = "") -> str:
    """Return `median (smallest to largest, n = count)`, each number in the format `spec`."""
    low, middle, high = (format(f(values), spec) for f in (min, statistics.median, max))
    return f"{middle}{unit} ({low} to {high}, n = {len(values)})"


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each pair: the two were measured one after the other, on a machine in one mood."""
    return [a / b for a, b in zip(above, below, strict=True)]


def mean(values: Sequence[float]) -> str:
    """Return `mean ± margin (n = count)`: the margin is that of the 95 % interval of the t distribution."""
    n = len(values)
    margin = stats.t.ppf(0.975, n - 1) * stats.sem(values) if n > 1 else float("nan")
    return f"{statistics.fmean(values):.3f} ± {margin:.3f} (n = {n})"


def interval(values: Sequence[float], spec: str) -> str:
    """Return `mean ± margin`, as `mean` does, each in the format `spec`."""
    n = len(values)
    margin = stats.t.ppf(0.975, n - 1) * stats.sem(values)
    return f"{statistics.fmean(values):{spec}} ± {margin:{spec}}"
