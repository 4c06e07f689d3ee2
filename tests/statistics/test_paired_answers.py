import numpy as np
import pytest

from runback.statistics.paired_answers import paired_answers


def answers(both, first, second, neither):
    kinds = np.repeat([0, 1, 2, 3], [both, first, second, neither])
    return np.isin(kinds, [0, 1]), np.isin(kinds, [0, 2])


def test_the_difference_is_that_of_accuracies_and_its_interval_pairs_images():
    first, second = answers(800, 60, 30, 110)
    found = paired_answers(first, second)
    assert (found.n, found.only_first, found.only_second) == (1000, 60, 30)
    assert found.difference.mean == pytest.approx(first.mean() - second.mean())
    # The deviation of a paired difference: sqrt(60 + 30 - 30² / 1000) / 1000.
    assert found.difference.high - found.difference.low == pytest.approx(2 * 1.96 * 0.00944, rel=0.05)
    assert found.p_value == pytest.approx(0.0021, abs=2e-4)  # binomial: 60 of 90


def test_equal_answers_are_no_difference():
    first, second = answers(50, 0, 0, 10)
    found = paired_answers(first, second)
    assert found.difference.mean == 0
    assert -0.05 < found.difference.low < 0 < found.difference.high < 0.05  # others could still differ
    assert found.p_value == 1
