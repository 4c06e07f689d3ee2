"""How well a score separates two kinds: the area under the ROC curve, and where it begins."""

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata

from runback.statistics.interval import Interval
from runback.statistics.wilson_interval import Z_95, wilson

DRAWS = 10_000
"""Bootstrap draws."""

LEAST_ABOVE = 10
"""The least number of negatives above a threshold that a rate can be measured at."""

FEW = 10
"""Positives found, or missed, below which a bootstrap says too little of their noise."""


def area_under_roc(positive: np.ndarray, negative: np.ndarray) -> Interval:
    """Return the chance that a positive one's score is above a negative's, ties half, with its 95 % interval.

    Scores are of shape (m,) and (n,), at least 2 of each. The interval is DeLong's, on the logit scale, where
    it stays between 0 and 1; where the scores do not vary, as in a perfect separation, Wilson's of as many
    pairs as share no score. Source: E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the areas under two
    or more correlated receiver operating characteristic curves", Biometrics 44 (1988), 837-845.
    """
    m, n = len(positive), len(negative)
    ranks = rankdata(np.concatenate([positive, negative]))
    above = (ranks[:m] - rankdata(positive)) / n  # of each positive: the share of negatives below it
    below = 1 - (ranks[m:] - rankdata(negative)) / m
    area = float(above.mean())
    deviation = float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    if area in (0.0, 1.0) or deviation == 0:
        return Interval(area, *wilson(area * min(m, n), min(m, n)))
    half = Z_95 * deviation / (area * (1 - area))
    return Interval(area, float(expit(logit(area) - half)), float(expit(logit(area) + half)))


def sensitivity_at(positive: np.ndarray, negative: np.ndarray, false_rate: float) -> Interval | None:
    """Return the share of positives above the threshold that `false_rate` of the negatives are above.

    Equal scores are put in an order at random, with a fixed seed, as the straight parts of an ROC curve do.
    The 95 % bootstrap interval counts both kinds' noise, and reaches as far as Wilson's where few positives
    are found or missed. None where fewer than 10 negatives would be above.
    """
    m, n = len(positive), len(negative)
    above = int(n * false_rate)
    if above < LEAST_ABOVE:
        return None
    generator = np.random.default_rng(0)
    scores = np.concatenate([positive, negative])
    ranks = np.empty(m + n)
    ranks[np.lexsort((generator.random(m + n), scores))] = np.arange(m + n)
    rising, ordered = np.sort(ranks[:m]), np.sort(ranks[m:])
    # The quantile of a resample of n is one of the n values: which one follows a Beta distribution.
    places = np.ceil(n * generator.beta(n - above, above + 1, DRAWS)).astype(int).clip(1, n) - 1
    shares = (m - np.searchsorted(rising, ordered[places], side="right")) / m
    low, high = np.quantile(generator.binomial(m, shares) / m, [0.025, 0.975])
    found = m - int(np.searchsorted(rising, ordered[n - above - 1], side="right"))
    if min(found, m - found) < FEW:
        least, most = wilson(found, m)
        low, high = min(low, least), max(high, most)
    return Interval(found / m, float(low), float(high))
