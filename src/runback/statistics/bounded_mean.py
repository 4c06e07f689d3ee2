"""The interval of a mean of values between 0 and 1."""

from typing import Any

import numpy as np

from runback.statistics.interval import Interval, mean_interval
from runback.statistics.wilson_interval import wilson

LEAST_APART = 10
"""Values away from each end that Student's t needs: fewer say too little of the spread."""


def bounded_mean_interval(values: Any) -> Interval:
    """Return the mean of n independent values in [0, 1], n at least 2, with its 95 % interval in [0, 1].

    Student's t, or Wilson's where fewer than 10 values differ from an end: that of n shares whose values are
    all 0 or 1, which have the largest spread that the mean allows.
    """
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if min(np.count_nonzero(values > 0), np.count_nonzero(values < 1)) < LEAST_APART:
        return Interval(mean, *wilson(mean * len(values), len(values)))
    found = mean_interval(values)
    return Interval(mean, max(0.0, found.low), min(1.0, found.high))
