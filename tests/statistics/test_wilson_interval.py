import pytest
from scipy.stats import binomtest

from runback.statistics.wilson_interval import wilson


@pytest.mark.parametrize(("right", "n"), [(0, 1), (1, 1), (0, 50), (50, 50), (7, 10), (7480, 10_000)])
def test_the_interval_is_scipys_wilson_interval(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, "wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_ends_stay_in_range_and_hold_the_share():
    for n in range(1, 60):
        for right in range(n + 1):
            low, high = wilson(right, n)
            assert 0 <= low <= right / n <= high <= 1
