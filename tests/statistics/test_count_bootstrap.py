import numpy as np
import pytest

from runback.statistics.count_bootstrap import count_interval
from runback.statistics.wilson_interval import wilson


def share(tables):
    return tables[:, 0] / tables.sum(axis=1)


def test_the_interval_of_a_share_is_about_wilsons():
    found = count_interval(np.array([300, 700]), share)
    low, high = wilson(300, 1000)
    assert found.mean == 0.3
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.003)


def test_the_same_counts_have_the_same_interval():
    counts = np.array([[5, 2], [1, 9]])
    first, second = (count_interval(counts, lambda tables: tables[:, 0, 0] / 17) for _ in range(2))
    assert first == second


def test_large_tables_are_drawn_in_parts():
    counts = np.zeros((2_000, 2_000), np.int64)
    counts[:10, :10] = 3
    found = count_interval(counts, lambda tables: tables.trace(axis1=1, axis2=2) / 300)
    assert found.low < found.mean == pytest.approx(0.1) < found.high
