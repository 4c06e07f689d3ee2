"""Estimates with their intervals."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % interval; both NaN where there is no noise to measure it by."""

    mean: float
    low: float
    high: float

    @property
    def is_beyond_noise(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def mean_interval(values: Any, confidence: float = CONFIDENCE) -> Interval:
    """Return the mean of n independent values, n at least 2, with Student's t interval."""
    n, mean = len(values), float(np.mean(values))
    half = t_quantile(n - 1, confidence) * float(np.std(values, ddof=1)) / n**0.5
    return Interval(mean, mean - half, mean + half)


def t_quantile(freedom: float, confidence: float) -> float:
    """Return half the width of an interval, in standard errors, at so many degrees of freedom."""
    return float(stdtrit(freedom, (1 + confidence) / 2))
