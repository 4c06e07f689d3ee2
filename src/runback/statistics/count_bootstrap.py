"""Intervals of whatever is computed from a table of counts."""

from collections.abc import Callable

import numpy as np

from runback.statistics.paired_seeds import Interval

DRAWS = 2_000
"""Resamples: an end of the interval moves by about 3 % of its length from seed to seed."""

CELLS = 4_000_000
"""Cells of the tables that are held at a time."""


def count_interval(counts: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]) -> Interval:
    """Return a statistic of counts with its 95 % percentile bootstrap interval.

    `counts` are of any shape; `statistic` takes tables (draws, *shape) and returns values (draws,), NaN where
    a table has none. To draw n images anew is to draw the counts from a multinomial distribution. Source: B.
    Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. Drawn with a fixed seed.
    """
    flat = counts.reshape(-1)
    used = np.flatnonzero(flat)
    n = int(flat.sum())
    generator = np.random.default_rng(0)
    values: list[np.ndarray] = []
    step = max(1, CELLS // flat.size)
    for first in range(0, DRAWS, step):
        draws = min(step, DRAWS - first)
        tables = np.zeros((draws, flat.size), np.int64)
        tables[:, used] = generator.multinomial(n, flat[used] / n, draws)
        values.append(statistic(tables.reshape(draws, *counts.shape)))
    low, high = np.nanquantile(np.concatenate(values), [0.025, 0.975])
    return Interval(float(statistic(counts[None])[0]), float(low), float(high))
