import math

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


def test_a_perfect_separation_has_no_interval():
    found = area_under_roc(np.arange(5.0) + 10, np.arange(5.0))
    assert found.mean == 1
    assert math.isnan(found.low)


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
    assert found.mean == true[false <= 0.02].max()
    assert found.low < found.mean < found.high


def test_too_few_negatives_for_a_rate_give_none(scores):
    assert sensitivity_at(*scores, 0.001) is None
