import numpy as np
import pytest

from runback.statistics.group_extremes import group_extremes


def coverage(shares, n, draws=100):
    """Return how often the intervals of the worst share and of the gap hold the true ones."""
    generator = np.random.default_rng(3)
    counts = np.full(len(shares), n)
    held = np.zeros(2)
    for right in generator.binomial(n, shares, (draws, len(shares))):
        found = group_extremes(right, counts)
        held += [
            found.worst_share.low <= min(shares) <= found.worst_share.high,
            found.gap.low <= max(shares) - min(shares) <= found.gap.high,
        ]
    return held / draws


@pytest.mark.parametrize(
    "shares",
    [[0.8] * 10, [0.6, *[0.8] * 9], [0.9, 0.95, 0.85, 0.72, 0.88, 0.8, 0.92, 0.9, 0.94, 0.93], [0.8, 0.85]],
    ids=["equal", "one-worse", "spread", "two"],
)
def test_intervals_hold_for_the_true_extremes(shares):
    worst, gap = coverage(np.array(shares), 500)
    assert worst >= 0.9
    assert gap >= 0.9


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
