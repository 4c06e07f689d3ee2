"""Two classifiers on the same images: which of them is right more often, and could that be chance?"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from runback.statistics.interval import Interval

DRAWS = 10_000
"""Bootstrap draws: an end of the interval moves by about 1 % of its length from seed to seed."""


@dataclass(frozen=True)
class PairedAnswers:
    """The comparison of two classifiers on `n` images."""

    n: int
    only_first: int
    """Images that only the first one is right about."""
    only_second: int
    difference: Interval
    """How far the first one's accuracy lies above the second's, with its 95 % bootstrap interval."""
    p_value: float
    """McNemar's exact test: how often chance alone gives as much of a difference."""


def paired_answers(first: np.ndarray, second: np.ndarray) -> PairedAnswers:
    """Compare by what each is right about: booleans of shape (n,), n at least 1, for the same images.

    Sources: Q. McNemar, "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12 (1947), 153-157; B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993),
    section 13.3: images are drawn, and both answers come with them. Drawn with a fixed seed.
    """
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    shares = np.array([only_first, only_second, n - only_first - only_second]) / n
    drawn = np.random.default_rng(0).multinomial(n, shares, DRAWS)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, [0.025, 0.975])
    differing = only_first + only_second
    return PairedAnswers(
        n,
        only_first,
        only_second,
        Interval((only_first - only_second) / n, float(low), float(high)),
        float(binomtest(only_first, differing).pvalue) if differing else 1.0,
    )
