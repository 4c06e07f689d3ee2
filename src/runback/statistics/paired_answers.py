"""Two classifiers on the same images: which of them is right more often, and could that be chance?"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from runback.statistics.interval import Interval
from runback.statistics.wilson_interval import Z_95

DRAWS = 10_000
"""Bootstrap draws: an end of the interval moves by about 1 % of its length from seed to seed."""


FEW = 20
"""Images with different answers from which on they are drawn."""


@dataclass(frozen=True)
class PairedAnswers:
    """The comparison of two classifiers on `n` images."""

    n: int
    only_first: int
    """Images that only the first one is right about."""
    only_second: int
    difference: Interval
    """How far the first one's accuracy lies above the second's, with its 95 % interval."""
    p_value: float
    """McNemar's exact test: how often chance alone gives as much of a difference."""


def paired_answers(first: np.ndarray, second: np.ndarray) -> PairedAnswers:
    """Compare by what each is right about: booleans of shape (n,), n at least 1, for the same images.

    Sources: Q. McNemar, "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12 (1947), 153-157; B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993),
    section 13.3: images are drawn, and both answers come with them. Drawn with a fixed seed. Where fewer than
    `FEW` differ, a bootstrap says too little: then the interval is the adjusted one of D. Bonett and R.
    Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data",
    Journal of Educational and Behavioral Statistics 37 (2012), 479-488.
    """
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    if differing < FEW:
        return PairedAnswers(
            n, only_first, only_second, _adjusted(only_first, only_second, n), _p_value(only_first, differing)
        )
    shares = np.array([only_first, only_second, n - only_first - only_second]) / n
    drawn = np.random.default_rng(0).multinomial(n, shares, DRAWS)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, [0.025, 0.975])
    difference = Interval((only_first - only_second) / n, float(low), float(high))
    return PairedAnswers(n, only_first, only_second, difference, _p_value(only_first, differing))


def _p_value(only_first: int, differing: int) -> float:
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def _adjusted(only_first: int, only_second: int, n: int) -> Interval:
    first, second = ((count + 1) / (n + 2) for count in (only_first, only_second))
    half = Z_95 * ((first + second - (first - second) ** 2) / (n + 2)) ** 0.5
    middle = first - second
    return Interval((only_first - only_second) / n, max(-1.0, middle - half), min(1.0, middle + half))
