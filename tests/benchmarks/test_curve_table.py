"""A table of curves says by itself what was searched; what it cannot use is counted or refused."""

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from replay.curve_table import curve_table, read_table
from runback.errors import InputError


def axes(rows):
    return {axis.name: axis.distribution for axis in curve_table(rows).axes}


def test_texts_and_few_numbers_are_choices_and_ranges_are_linear_or_logarithmic(curves):
    found = axes(curves())
    assert found["method"] == CategoricalDistribution(["adam", "sgd"])
    assert found["width"] == CategoricalDistribution([32, 64])
    assert isinstance(found["rate"], FloatDistribution)
    assert found["rate"].log
    assert isinstance(found["dropout"], FloatDistribution)
    assert not found["dropout"].log  # although its lowest value is a hundredth of its highest


def test_many_whole_numbers_are_a_range_of_whole_numbers(curves):
    rows = curves()
    rows["units"] = (rows["dropout"] * 1000).astype(int)
    rows["batch"] = (10 ** (rows["dropout"] * 6)).astype(int) + 1
    found = axes(rows)
    assert isinstance(found["units"], IntDistribution)
    assert not found["units"].log
    assert isinstance(found["batch"], IntDistribution)
    assert found["batch"].log


def test_truth_values_are_choices(curves):
    rows = curves()
    assert axes(rows.assign(nesterov=rows["dropout"] > 0.2))["nesterov"].choices == (False, True)


def test_the_level_is_what_the_best_tenth_of_the_configs_reach(curves):
    table = curve_table(curves(200))
    assert table.n_epochs == 6
    assert 0.1 <= np.mean(table.best >= table.level) <= 0.11


def test_the_order_of_rows_and_their_index_mean_nothing(curves):
    rows = curves()
    table, shuffled = curve_table(rows), curve_table(rows.sample(frac=1, random_state=0))
    assert shuffled.configs == table.configs
    np.testing.assert_array_equal(shuffled.values, table.values)
    np.testing.assert_array_equal(shuffled.seconds, table.seconds)


def test_a_config_that_is_there_twice_has_two_curves(curves):
    rows = curves()
    table = curve_table(pd.concat([rows, rows.assign(val_accuracy=rows["val_accuracy"] + 0.01)]))
    assert len(table.configs) == 240
    assert table.configs[0] == table.configs[1]
    assert abs(table.best[0] - table.best[1]) == pytest.approx(0.01)


def test_the_seconds_of_an_epoch_are_those_of_the_fastest_but_the_first(curves):
    rows = curves().assign(seconds=5.0)
    rows.loc[rows["epoch"] == 1, "seconds"] = 8.0
    rows.loc[rows["epoch"] == 3, "seconds"] = 50.0  # the machine had something else to do
    table = curve_table(rows)
    assert set(table.first_seconds) == {8.0}
    assert set(table.seconds) == {5.0}


def test_short_curves_are_left_out_and_counted(curves):
    rows = curves()
    rows = rows.drop(rows[(rows["epoch"] == 6) & (rows["dropout"] < 0.1)].index)
    n_short = rows.groupby("dropout").size().lt(6).sum()
    table = curve_table(rows)
    assert len(table.configs) == 120 - n_short
    assert f"left out: {n_short} configs with fewer than 6 epochs" in table.notes


def test_the_number_of_epochs_is_the_length_of_a_curve_and_no_axis(curves):
    rows = curves(200)
    rows["training.epochs"] = np.where(rows["dropout"] < 0.1, 4, 6)
    table = curve_table(rows[rows["epoch"] <= rows["training.epochs"]])
    assert [axis.name for axis in table.axes] == ["method", "rate", "width", "dropout"]
    assert "training.epochs is the length of the curves: no axis" in table.notes
    assert table.n_epochs == 6


def test_gaps_and_constant_params_are_said(curves):
    rows = curves()
    rows["schedule"] = np.where(rows["method"] == "sgd", None, "cosine")
    rows["momentum"] = np.where(rows["method"] == "sgd", rows["dropout"], np.nan)
    rows["size"] = 3
    rows.loc[5, "val_accuracy"] = np.nan
    table = curve_table(rows)
    assert {axis.name: axis.choices for axis in table.axes}["schedule"] == ("cosine", "missing")
    assert not any(isinstance(v, float) and np.isnan(v) for config in table.configs for v in config.values())
    said = "\n".join(table.notes)
    assert "the same in all configs: size" in said
    assert "momentum is missing" in said
    assert "val_accuracy is no number in 1 epochs" in said
    assert np.isfinite(table.values).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(columns="seconds"), "no seconds"),
        (lambda rows: rows.assign(val_accuracy="high"), "expected numbers in the column val_accuracy"),
        (lambda rows: rows.assign(seconds=0.0), "seconds above 0"),
        (lambda rows: rows.assign(val_accuracy=0.1), "all reach the same"),
        (
            lambda rows: rows[["epoch", "val_accuracy", "val_loss", "seconds"]],
            "a param that the configs differ",
        ),
        (lambda rows: rows[:60], "at least 20 configs with curves of one length; got 10"),
        (lambda rows: rows[:0], "a param that the configs differ"),
    ],
)
def test_a_table_that_says_nothing_is_refused(curves, change, said):
    with pytest.raises(InputError, match=said):
        curve_table(change(curves()))


def test_a_file_that_is_none_of_curves_is_refused_by_its_name(tmp_path):
    file = tmp_path / "curves.parquet"
    file.write_text("no parquet")
    with pytest.raises(InputError, match=r"cannot read .*curves\.parquet: expected a parquet file of curves"):
        read_table(file)
