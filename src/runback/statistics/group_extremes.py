"""The worst of several groups, and the gap between the worst and the best, with intervals that hold.

Whoever looks for the worst of ten estimates finds one that chance has made look worse, and a bootstrap of the
minimum does the same a second time. Here an interval is the set of values that a test does not reject: for
each value it asks how likely the estimates are if the worst group had that value, and the others lay where
they probably do. Where those lie is estimated by drawing all towards their mean. Source of the idea: C.-S.
Chuang and T. L. Lai, "Hybrid resampling methods for confidence intervals", Statistica Sinica 10 (2000), 1-50.
Counts are binomial, and half of the probability of what was found counts as more extreme (mid-p).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, gammaln

from runback.statistics.interval import Interval
from runback.statistics.root_finding import rising_root

TAIL = 0.025
"""How often each end of a 95 % interval may miss."""

DRAWS = 2_000
"""Draws of the counts, always from the same uniform numbers."""

REACH = 8
"""Standard deviations of a count within which it is drawn."""

TIE = 1e-12
"""Gaps that differ by less are the same."""

STARTS = 41
"""Places that are tried for an interval of shares."""

PAIRS = 2
"""Pairs of groups that are tried as those the furthest apart."""


@dataclass(frozen=True)
class GroupExtremes:
    """The worst of some groups and the gap to the best: shares, with 95 % intervals."""

    worst: int
    """The place of the group with the smallest share."""
    best: int
    worst_share: Interval
    """Its estimate is that group's own share, and lies at the interval's upper end or beyond it at times."""
    gap: Interval


@dataclass(frozen=True, eq=False)
class _Shares:
    """What was counted in each group, arrays of shape (groups,)."""

    right: np.ndarray
    n: np.ndarray
    found: np.ndarray
    """The shares found."""
    probable: np.ndarray
    """Where the true shares probably lie."""
    uniform: np.ndarray
    """Numbers between 0 and 1 that counts are drawn by, (draws, groups)."""


def group_extremes(right: ArrayLike, n: ArrayLike) -> GroupExtremes:
    """Return the extremes of groups of which `right` of `n` are right; two groups at least, no empty one.

    The intervals hold for the smallest true share and the largest difference of true shares, whichever groups
    have them. How often they do is measured by benchmarks/coverage.py.
    """
    shares = _shares(np.asarray(right, np.float64), np.asarray(n, np.float64))
    order = np.argsort(shares.found, kind="stable")
    worst, best = int(order[0]), int(order[-1])
    found = shares.found
    return GroupExtremes(
        worst,
        best,
        Interval(float(found[worst]), *_worst_ends(shares, worst)),
        Interval(float(found[best] - found[worst]), *_gap_ends(shares, worst, best)),
    )


def _shares(right: np.ndarray, n: np.ndarray) -> _Shares:
    angles = np.arcsin(np.sqrt((right + 3 / 8) / (n + 3 / 4)))
    variance = 1 / (4 * n + 2)
    uniform = np.random.default_rng(0).random((DRAWS, len(n)))
    return _Shares(right, n, right / n, np.sin(_shrunken(angles, variance)) ** 2, uniform)


def _shrunken(angles: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return estimates drawn together, so that they are as far apart as the true values probably are.

    They are on the arcsine scale, where the noise of a share is normal and does not depend on it (F.
    Anscombe, Biometrika 35 (1948), 246-254). The variance between groups is DerSimonian and Laird's
    (Controlled Clinical Trials 7 (1986), 177-188); that the drawn-in estimates keep it is from T. Louis (JASA
    79 (1984), 393-398).
    """
    weights = 1 / variance
    mean = (weights * angles).sum() / weights.sum()
    excess = (weights * (angles - mean) ** 2).sum() - (len(angles) - 1)
    between = max(0.0, excess / (weights.sum() - (weights**2).sum() / weights.sum()))
    weights = 1 / (variance + between)
    mean = (weights * angles).sum() / weights.sum()
    return np.asarray(mean + np.sqrt(between / (between + variance)) * (angles - mean))


def _worst_ends(shares: _Shares, worst: int) -> tuple[float, float]:
    n, least = shares.n.astype(int), shares.found[worst]
    counts = np.round(least * n, 9)

    def all_above(values: np.ndarray) -> np.ndarray:
        """Return the chance, by place, that all estimates are above the least one found, which counts half.

        `values` are of shape (places, groups).
        """
        at_least = 1 - np.where(counts > 0, bdtr(np.maximum(np.ceil(counts) - 1, 0), n, values), 0.0)
        more = 1 - bdtr(np.floor(counts), n, values)
        return np.asarray((at_least.prod(axis=1) + more.prod(axis=1)) / 2)

    def with_one_at(value: float) -> np.ndarray:
        """Return shares, at least `value`, and in each row another group has just that."""
        rows = np.tile(np.maximum(shares.probable, value), (len(n), 1))
        np.fill_diagonal(rows, value)
        return rows

    low = rising_root(lambda value: all_above(with_one_at(value)).max() - TAIL, 0.0, float(least))
    high = rising_root(lambda value: TAIL - 1 + all_above(with_one_at(value)[worst : worst + 1])[0], 0.0, 1.0)
    return low, high


def _gap_ends(shares: _Shares, worst: int, best: int) -> tuple[float, float]:
    found, probable = shares.found, shares.probable
    smoothed = (shares.right + 1) / (shares.n + 2)  # one that is found to be 0 or 1 varies as well
    variance = smoothed * (1 - smoothed) / shares.n
    gap = float(found[best] - found[worst])

    def wider(values: np.ndarray, width: float) -> float:
        """Return how often estimates of these shares are further apart; as far apart counts half."""
        gaps = np.ptp(_drawn_shares(values, shares), axis=1) - width
        return float(((gaps > TIE).mean() + (gaps > -TIE).mean()) / 2)

    def within(width: float) -> np.ndarray:
        """Return shares in the interval of this width nearest to those found, the extremes at its ends."""
        starts = np.linspace(found.min(), max(found.min(), found.max() - width), STARTS)[:, None]
        cost = ((np.clip(found, starts, starts + width) - found) ** 2 / variance).sum(axis=1)
        start = starts[cost.argmin(), 0]
        values = np.clip(probable, start, start + width)
        values[worst], values[best] = start, start + width
        return np.asarray(values)

    def apart(width: float, low: int, high: int) -> np.ndarray:
        """Return shares with two groups this far apart, near to what was found, and the others between."""
        excess = width - (found[high] - found[low])
        upper_part = variance[high] / (variance[low] + variance[high])
        ends = [found[low] - excess * (1 - upper_part), found[high] + excess * upper_part]
        shift = max(0.0, -ends[0]) - max(0.0, ends[1] - 1)
        values = np.clip(probable, ends[0] + shift, ends[1] + shift)
        values[low], values[high] = ends[0] + shift, ends[1] + shift
        return np.asarray(values)

    start = 0.0
    if wider(within(0.0), gap) < TAIL:
        start = rising_root(lambda width: wider(within(width), gap) - TAIL, 0.0, gap)
    mean = (found / variance).sum() / (1 / variance).sum()
    by_chance = np.ptp(_drawn_shares(np.full(len(found), mean), shares), axis=1)
    level = max(gap, float(np.quantile(by_chance, 0.25)))  # a smaller gap than chance makes says no more
    end = max(
        rising_root(lambda width, pair=pair: wider(apart(width, *pair), level) - 1 + TAIL, 0.0, 1.0)  # type: ignore[misc]
        for pair in _furthest(found, variance, worst, best)
    )
    return start, end


def _drawn_shares(values: np.ndarray, shares: _Shares) -> np.ndarray:
    """Return draws of estimates, (draws, groups), of groups with these true shares."""
    drawn = np.empty_like(shares.uniform)
    for place, (value, n) in enumerate(zip(np.clip(values, 0, 1).tolist(), shares.n.tolist(), strict=True)):
        reach = REACH * (n * value * (1 - value)) ** 0.5 + 5
        counts = np.arange(max(0.0, np.floor(n * value - reach)), min(n, np.ceil(n * value + reach)) + 1)
        if 0 < value < 1:
            logs = gammaln(n + 1) - gammaln(counts + 1) - gammaln(n - counts + 1)
            cumulated = np.exp(logs + counts * np.log(value) + (n - counts) * np.log1p(-value)).cumsum()
            found = np.searchsorted(cumulated, shares.uniform[:, place] * cumulated[-1])
            drawn[:, place] = counts[np.minimum(found, len(counts) - 1)] / n
        else:
            drawn[:, place] = value
    return drawn


def _furthest(found: np.ndarray, variance: np.ndarray, worst: int, best: int) -> list[tuple[int, int]]:
    """Return the pairs, with the worst or the best group in each, that may be the furthest apart."""
    others = range(len(found))
    pairs = {(worst, other) for other in others if other != worst}
    pairs |= {(other, best) for other in others if other != best}

    def reach(pair: tuple[int, int]) -> float:
        low, high = pair
        return float(found[high] - found[low] + 2 * np.sqrt(variance[low] + variance[high]))

    return sorted(pairs, key=lambda pair: (-reach(pair), pair))[:PAIRS]
