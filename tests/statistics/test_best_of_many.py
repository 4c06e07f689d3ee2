import numpy as np
import pytest

from runback.statistics.best_of_many import optimism_of_best


@pytest.mark.parametrize("count", [2, 5, 50])
def test_it_is_what_the_best_of_equal_ones_gains(count):
    drawn = np.random.default_rng(0).binomial(1_000, 0.8, (20_000, count)).max(axis=1) / 1_000
    assert optimism_of_best(count, 1_000, 0.8) == pytest.approx(drawn.mean() - 0.8, rel=0.05)


def test_one_gains_nothing():
    assert optimism_of_best(1, 1_000, 0.8) == 0
