import numpy as np
import pytest

from runback.statistics.bounded_mean import bounded_mean_interval
from runback.statistics.interval import mean_interval
from runback.statistics.wilson_interval import wilson


def test_values_that_vary_have_students_interval_within_the_bounds():
    values = np.random.default_rng(0).random(200)
    assert bounded_mean_interval(values) == mean_interval(values)


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_values_at_an_end_have_an_interval_all_the_same(end):
    found = bounded_mean_interval(np.full(20, end))
    assert (found.low, found.high) == pytest.approx(wilson(20 * end, 20))
    assert found.high - found.low > 0.1


def test_a_few_that_differ_do_not_reach_beyond_the_end():
    values = np.ones(200)
    values[0] = 0
    found = bounded_mean_interval(values)
    assert found.mean == 0.995
    assert 0.96 < found.low < 0.99
    assert found.high <= 1
