import numpy as np
import pytest

from runback.statistics.group_extremes import group_extremes


def coverage(shares, counts, draws=60):
    """Return how often the intervals of the worst share and of the gap hold the true ones."""
    generator = np.random.default_rng(3)
    held = np.zeros(2)
    for right in generator.binomial(counts, shares, (draws, len(shares))):
        found = group_extremes(right, counts)
        held += [
            found.worst_share.low <= min(shares) <= found.worst_share.high,
            found.gap.low <= max(shares) - min(shares) <= found.gap.high,
        ]
    return held / draws


CASES = {
    "equal": ([0.8] * 10, [500] * 10),
    "one worse": ([0.6, *[0.8] * 9], [500] * 10),
    "spread": ([0.9, 0.95, 0.85, 0.72, 0.88, 0.8, 0.92, 0.9, 0.94, 0.93], [500] * 10),
    "two": ([0.8, 0.85], [500] * 2),
    "small and worse": ([0.7, *[0.8] * 9], [100, *[1000] * 9]),
    "tiny and worse": ([0.7, *[0.8] * 9], [30, *[1000] * 9]),
    "small and a little worse": ([0.75, *[0.8] * 9], [100, *[1000] * 9]),
    "near 1": ([0.93, 1.0], [30, 30]),
    "all near 1": ([0.99, 0.995, 1.0, 1.0, 1.0], [100] * 5),
}


@pytest.mark.parametrize("case", CASES)
def test_intervals_hold_for_the_true_extremes(case):
    worst, gap = coverage(*map(np.array, CASES[case]))
    assert worst >= 0.85  # of 60 draws; benchmarks/coverage.py asks more of them
    assert gap >= 0.85


@pytest.mark.parametrize(("right", "n"), [([80, 80], [100, 100]), ([30, 30], [30, 30]), ([0, 0], [30, 30])])
def test_groups_that_look_the_same_may_differ(right, n):
    found = group_extremes(right, n)
    assert found.worst != found.best
    assert (found.gap.mean, found.gap.low) == (0, 0)
    assert 0.05 < found.gap.high < 0.2


def test_a_small_group_may_be_the_worst_though_another_looks_so():
    found = group_extremes([790, 800, 805, 810, 24], [1000, 1000, 1000, 1000, 30])
    assert found.worst == 0
    assert found.worst_share.low < 0.74
    assert found.gap.high > 0.1


def test_the_worst_of_equal_groups_is_not_taken_at_its_word():
    right = np.array([395, 400, 405, 398, 402, 410, 390, 401, 399, 380])
    found = group_extremes(right, np.full(10, 500))
    assert found.worst == 9
    assert found.best == 5
    assert found.worst_share.mean == 0.76
    assert found.worst_share.high > 0.78  # the mean of all is 0.796
    assert found.gap.low == 0


def test_groups_far_apart_have_the_interval_of_the_worst_alone():
    found = group_extremes([50, 180, 190], [200, 200, 200])
    assert (found.worst_share.low, found.worst_share.high) == pytest.approx((0.193, 0.312), abs=0.006)
