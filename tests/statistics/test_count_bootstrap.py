import numpy as np
import pytest

from runback.statistics.count_bootstrap import count_interval
from runback.statistics.wilson_interval import wilson


def share(counts):
    return counts[:, 0] / counts.sum(axis=1)


def test_the_interval_of_a_share_is_about_wilsons():
    found = count_interval(np.array([300, 700]), share)
    low, high = wilson(300, 1000)
    assert found.mean == 0.3
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.003)


def test_the_same_counts_have_the_same_interval():
    first, second = (count_interval(np.array([5, 2, 1, 9]), share) for _ in range(2))
    assert first == second


def test_many_counts_are_drawn_in_parts():
    found = count_interval(np.full(10_000, 2), share)
    assert found.low <= found.mean == 1e-4
    assert found.high == pytest.approx(2.5e-4, abs=1e-4)
