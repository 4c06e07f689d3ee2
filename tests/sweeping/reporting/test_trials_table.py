import io

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from runback.sweeping.reporting.trials_table import trials_csv


def read(study):
    return pd.read_csv(io.StringIO(trials_csv(study)))


def test_a_row_a_trial_with_its_params_by_their_full_names(make_study):
    study = make_study(30)
    frame = read(study)
    params = list(study.trials[0].params)
    ends = ["started", "seconds", "pruned_at", "failure", "run_id"]
    assert list(frame.columns) == ["number", "state", "val_accuracy", *params, *ends]
    assert list(frame["number"]) == list(range(30))
    assert set(frame["state"]) == {"done", "pruned", "failed"}
    assert frame["val_accuracy"].notna().equals(frame["state"] == "done")
    assert frame["pruned_at"].notna().equals(frame["state"] == "pruned")
    assert frame["failure"].notna().equals(frame["state"] == "failed")
    best = frame.loc[frame["val_accuracy"].idxmax()]
    assert best["number"] == study.best_trial.number
    assert best["optimizer.learning_rate"] == study.best_params["optimizer.learning_rate"]
    assert best["run_id"] == study.best_trial.user_attrs["run_id"]
    assert pd.to_datetime(frame["started"]).is_monotonic_increasing


def test_several_objectives_are_columns_by_their_names(make_study):
    frame = read(make_study(3, directions=("maximize", "minimize"), names=("val_accuracy", "parameters")))
    assert frame[["val_accuracy", "parameters"]].notna().all(axis=None)


@pytest.mark.parametrize("count", [0, 2])
def test_trials_without_results_are_rows_too(make_study, count):
    frame = read(make_study(count, state=TrialState.PRUNED))
    assert len(frame) == count
    assert "val_accuracy" in frame.columns


def test_no_password_is_in_it(make_study):
    study = make_study(2, space={"url": CategoricalDistribution(["https://me:hunter2@host/a", "b"])})
    failed = study.trials[-1]
    failed.state = TrialState.FAIL
    failed.values = None
    failed.user_attrs = {"failure": "code: OSError: no https://me:hunter2@host/a", "ended_by": "code"}
    study.add_trial(failed)
    assert "hunter2" not in trials_csv(study)
