"""Intervals of whatever is computed from counts."""

from collections.abc import Callable

import numpy as np

from runback.statistics.interval import Interval

DRAWS = 2_000
"""Resamples: an end of the interval moves by about 3 % of its length from seed to seed."""

CELLS = 4_000_000
"""Counts that are held at a time."""


def count_interval(counts: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Return a statistic of counts (cells,) with its 95 % percentile bootstrap interval.

    `statistic` takes counts (draws, cells) and returns values (draws,). To draw n images anew is to draw the
    counts from a multinomial distribution; leave out cells that are 0. Source: B. Efron and R. Tibshirani, An
    Introduction to the Bootstrap (1993), section 13.3. Drawn with a fixed seed.
    """
    n = int(counts.sum())
    generator = np.random.default_rng(0)
    step = max(1, CELLS // len(counts))
    values = [
        statistic(generator.multinomial(n, counts / n, min(step, DRAWS - first)))
        for first in range(0, DRAWS, step)
    ]
    low, high = np.quantile(np.concatenate(values), [0.025, 0.975])
    return Interval(float(statistic(counts[None])[0]), float(low), float(high))
