"""`runback.load` and `runback.load_model`, as a notebook in a folder of the project calls them."""

import json
import subprocess
import sys

import pytest

SWEEP = """# @package _global_
# A sweep for tests.
#   runback sweep tiny
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: grid
model:
  widths: [4, 4]
  dense_width: 8
training:
  epochs: 2
hydra:
  sweeper:
    n_workers: 2
    params:
      optimizer.learning_rate: choice(0.0001, 0.01)
"""

NOTEBOOK = """
import json
import sys

import runback

heavy = {"tensorflow", "keras", "mlflow", "pandas", "numpy", "hydra", "optuna"}
facts = {"imported": sorted(heavy & set(sys.modules))}
sweep = runback.load("tiny")
facts["imported to load"] = sorted(heavy & set(sys.modules))
facts["trials"] = json.loads(sweep.trials.to_json(orient="records", date_format="iso", double_precision=15))
facts["curves"] = json.loads(sweep.curves.to_json(orient="records", double_precision=15))
facts["dtypes"] = {name: str(dtype) for name, dtype in {**sweep.trials.dtypes, **sweep.curves.dtypes}.items()}
facts["errors"] = []
for call in (lambda: runback.load("tini"), lambda: runback.load_model("one.zip"), lambda: runback.no_such):
    try:
        call()
    except Exception as error:
        facts["errors"].append(f"{type(error).__name__}: {error}")

from runback.__main__ import main

best = sweep.trials.sort_values("val_accuracy").iloc[-1]
assert main(["evaluate", best["run"]]) == 0
tested = runback.load("tiny").trials.set_index("trial").loc[best["trial"]]
names = ["test_accuracy", "test_accuracy_low", "test_accuracy_high"]
facts["tested"] = {name: float(tested[name]) for name in names}

from pathlib import Path

import numpy as np
from runback.classifier.data.synthetic import load

network = runback.load_model(best["run"][:8])
again = runback.load_model("best:tiny")
test = load("test", cache=Path("unused"))
answers = network.predict(test.images, verbose=0)
facts["shapes"] = [list(test.images.shape), list(answers.shape)]
facts["accuracy"] = float(np.mean(answers.argmax(axis=1) == test.labels))
facts["is loadable twice"] = bool(np.array_equal(answers, again.predict(test.images, verbose=0)))
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def told(module_project):
    """Sweep, then run the notebook in a folder of the project; return what it found."""
    module_project.own_sweeps(tiny=SWEEP)
    swept = module_project.run("sweep", "tiny")
    assert swept.returncode == 0, swept.stderr
    folder = module_project.folder / "notebooks" / "mine"
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        cwd=folder,
        env=module_project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_package_is_light_and_loading_needs_pandas_only(told):
    assert told["imported"] == []
    assert told["imported to load"] == ["numpy", "pandas"]


def test_trials_are_rows_with_params_and_results(told):
    trials = told["trials"]
    assert [trial["trial"] for trial in trials] == [0, 1]
    assert [trial["optimizer.learning_rate"] for trial in trials] == [0.0001, 0.01]
    for trial in trials:
        assert trial["sweep"] == "tiny"
        assert trial["status"] == "FINISHED"
        assert trial["epoch"] == 2
        assert trial["optimizer.name"] == "adam"
        assert 0 <= trial["val_accuracy_low"] <= trial["val_accuracy"] <= trial["val_accuracy_high"] <= 1
        assert min(trial["duration"], trial["parameters"], trial["model_bytes"]) > 0
    assert not any(name.startswith(("system/", "mlflow.", "runback.")) for name in trials[0])


def test_curves_are_rows_of_epochs(told):
    curves, trials = told["curves"], told["trials"]
    assert [(row["trial"], row["epoch"]) for row in curves] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert list(curves[0]) == [
        *("run", "trial", "epoch", "accuracy", "epoch_seconds", "images_per_second", "learning_rate"),
        *("loss", "val_accuracy", "val_loss"),
    ]
    assert [row["run"] for row in curves[1::2]] == [trial["run"] for trial in trials]
    assert curves[3]["val_accuracy"] == pytest.approx(trials[1]["val_accuracy"])


def test_the_dtypes_are_those_that_are_documented(told):
    dtypes = told["dtypes"]
    whole = ("trial", "epoch", "parameters", "model_bytes", "training.batch_size", "seed")
    assert {dtypes[name] for name in whole} == {"int64"}
    assert {dtypes[name] for name in ("val_accuracy", "duration", "optimizer.learning_rate")} == {"float64"}
    assert dtypes["start"].startswith("datetime64[")
    assert dtypes["start"].endswith(", UTC]")


def test_what_cannot_be_loaded_is_told(told):
    assert told["errors"] == [
        "InputError: unknown sweep 'tini': did you mean 'tiny'?",
        "InputError: expected a run of this project's store; one.zip is a file",
        "AttributeError: module 'runback' has no attribute 'no_such'",
    ]


def test_a_tested_run_has_its_test_accuracy_with_its_interval(told):
    tested = told["tested"]
    assert tested["test_accuracy"] == told["accuracy"]
    assert tested["test_accuracy_low"] < tested["test_accuracy"] < tested["test_accuracy_high"]


def test_a_network_is_loaded_by_whatever_names_its_run(told):
    assert told["shapes"] == [[128, 8, 8, 1], [128, 4]]
    assert told["is loadable twice"]
