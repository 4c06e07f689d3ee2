"""The model of curves answers alike for the same seed, and with curves such as those that it was made of."""

import numpy as np
import pandas as pd
import pytest

from replay.curve_model import CurveModel
from replay.curve_table import curve_table


@pytest.fixture(scope="module")
def table(curves):
    return curve_table(curves(300))


@pytest.fixture(scope="module")
def model(table):
    return CurveModel(table)


def test_a_curve_is_a_function_of_params_and_seed(table, model):
    point = table.configs[0]
    curve, again, other = (model.curve(point, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(curve.reported, again.reported)
    assert not np.array_equal(curve.reported, other.reported)
    assert curve.seconds == other.seconds
    assert CurveModel(table).curve(point, 1).reported.tolist() == curve.reported.tolist()


def test_curves_of_the_recorded_configs_are_spread_as_the_recorded_ones(table, model):
    curves = [model.curve(point, seed).reported for seed, point in enumerate(table.configs)]
    best = np.array([curve.max() for curve in curves])
    assert 0.04 < np.mean(best >= table.level) < 0.2  # 0.1 of the recorded ones do
    steps, recorded = np.diff(curves, axis=1).std(), np.diff(table.values, axis=1).std()
    assert steps == pytest.approx(recorded, rel=0.3)


def test_what_a_network_is_worth_is_less_restless_than_its_reports(table, model):
    drawn = [model.curve(point, 0) for point in table.configs]
    reported, true = ([getattr(curve, name) for curve in drawn] for name in ("reported", "true"))
    assert np.diff(true, n=2, axis=1).std() < np.diff(reported, n=2, axis=1).std()
    kept = [worth[reports.argmax()] for reports, worth in zip(reported, true, strict=True)]
    assert np.mean(kept) < np.mean([reports.max() for reports in reported])


def test_seconds_follow_the_params(table, model):
    point = table.configs[0]
    narrow, wide = (model.curve({**point, "width": width}, 0) for width in (32, 64))
    assert 1.5 < wide.seconds / narrow.seconds < 2.5
    assert narrow.first_seconds > narrow.seconds


def test_the_error_is_that_on_configs_left_out(model, curves):
    error = model.error
    assert error.n == 300
    assert 0.7 < error.r2 < 1
    assert error.rank_correlation > 0.8
    rows = curves(100)
    rows["val_accuracy"] = np.random.default_rng(0).uniform(size=len(rows))
    assert CurveModel(curve_table(rows)).error.r2 < 0.3  # there is nothing to learn


def test_a_config_that_is_there_twice_is_left_out_as_a_whole(curves):
    rows = curves(100)
    rows["val_accuracy"] = np.random.default_rng(0).uniform(size=len(rows))
    assert CurveModel(curve_table(pd.concat([rows, rows]))).error.r2 < 0.3
