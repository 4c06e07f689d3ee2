import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from runback.statistics.roc_curve import area_under_roc, sensitivity_at


@pytest.fixture
def scores():
    generator = np.random.default_rng(7)
    return np.round(generator.normal(0.8, 1, 700), 2), np.round(generator.normal(0, 1, 1500), 2)


def test_the_area_is_scikit_learns(scores):
    kinds = np.repeat([1, 0], [700, 1500])
    expected = roc_auc_score(kinds, np.concatenate(scores))
    found = area_under_roc(*scores)
    assert found.mean == pytest.approx(expected, abs=1e-12)
    assert found.low < found.mean < found.high


@pytest.mark.parametrize("scores", [(np.arange(30.0) + 50, np.arange(40.0)), (np.zeros(30), np.zeros(40))])
def test_scores_that_do_not_vary_have_an_interval_all_the_same(scores):
    found = area_under_roc(*scores)
    assert found.mean in (0.5, 1)
    assert 0.1 < found.high - found.low < 0.4


def test_the_areas_interval_covers():
    generator = np.random.default_rng(1)
    truth = 0.638163  # of normal scores whose means are half a deviation apart: Phi(0.5 / sqrt(2))
    hits = 0
    for _ in range(400):
        found = area_under_roc(generator.normal(0.5, 1, 150), generator.normal(0, 1, 200))
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_sensitivity_is_that_at_the_threshold_of_the_false_rate(scores):
    found = sensitivity_at(*scores, 0.02)
    false, true, _ = roc_curve(
        np.repeat([1, 0], [700, 1500]), np.concatenate(scores), drop_intermediate=False
    )
    assert found.mean == pytest.approx(np.interp(0.02, false, true), abs=0.01)
    assert found.low < found.mean < found.high


def test_equal_scores_are_put_in_an_order():
    positive, negative = np.repeat([1.0, 0.0], [900, 100]), np.repeat([1.0, 0.0], [500, 500])
    found = sensitivity_at(positive, negative, 0.1)
    assert found.mean == pytest.approx(0.18, abs=0.03)  # a straight line from 0 to (0.5, 0.9)
    assert found.low < found.mean < found.high


def test_where_none_is_found_there_is_an_interval_all_the_same():
    found = sensitivity_at(np.zeros(200), np.ones(2_000), 0.01)
    assert (found.mean, found.low) == (0, 0)
    assert found.high > 0.01


def test_too_few_negatives_for_a_rate_give_none(scores):
    assert sensitivity_at(*scores, 0.001) is None
