"""Frames of real runs in a real store."""

import math

import pytest

from runback.comparison.run_frames import read_curves, read_runs
from runback.errors import InputError
from runback.statistics.wilson_interval import wilson
from runback.tracking.layout import Layout
from runback.tracking.read.run_reader import open_reader
from runback.tracking.store import open_store
from runback.tracking.write.run_writer import start_run

PARAMS = {"training.objective": "val_loss", "data.n_validation": 200, "model.parameters": 1234}

EPOCHS = (
    {"val_loss": 0.5, "val_accuracy": 0.75, "loss": 0.5},
    {"val_loss": 0.25, "val_accuracy": 0.875, "loss": 0.25},
    {"val_loss": 0.25, "val_accuracy": 0.9, "loss": 0.125},
    {"val_loss": 1.0, "val_accuracy": 0.95, "loss": 0.0625},
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield open_store(Layout(tmp_path_factory.mktemp("a project")))


@pytest.fixture(scope="module")
def runs(store):
    """Record runs that end in every way; return their IDs by name."""
    made = {
        "patient": begin(store, {**PARAMS, "training.patience": 2}),
        "impatient": begin(store, {**PARAMS, "training.patience": None}),
        "pruned": begin(store, {**PARAMS, "training.patience": 2}),
        "failed": begin(store, PARAMS),
    }
    for name, run in made.items():
        for epoch, metrics in enumerate(EPOCHS[: 3 if name == "pruned" else 4], 1):
            if name != "failed":
                run.log_epoch(epoch, metrics)
    made["patient"].log_bytes(b"x" * 3000, "model.keras")
    made["patient"].set_tags({"runback.n_test": "1000"})
    made["patient"].log_metrics({"test_accuracy": 0.5})
    made["failed"].set_tags({"runback.failure": "data"})
    ends = {"pruned": ("KILLED", "pruned after epoch 3"), "failed": ("FAILED", "no such image")}
    for name, run in made.items():
        run.finish(*ends.get(name, ("FINISHED",)))
    return {name: run.id for name, run in made.items()}


def begin(store, params, kind="train"):
    folder = store.layout.runs / str(len(list(store.layout.runs.glob("*"))))
    tags = {"runback.kind": kind, "runback.sweep": "s", "runback.commit": "ab" * 20}
    return start_run(
        store, experiment="digits", name="one", folder=folder, params=params, tags=tags, description=""
    )


@pytest.fixture(scope="module")
def rows(store, runs):
    with open_reader(store.layout) as reader:
        found = read_runs(reader, list(runs.values()))
    assert found.rows["run"].tolist() == list(runs.values())
    return found.rows.set_index(found.rows["run"].map({run: name for name, run in runs.items()}))


def test_metrics_are_the_last_epochs_and_with_patience_the_first_best_ones(rows):
    assert rows["epoch"].tolist()[:3] == [2, 4, 3]
    assert rows["val_accuracy"].tolist()[:3] == [0.875, 0.95, 0.9]
    assert rows["loss"].tolist()[:3] == [0.25, 0.0625, 0.125]
    assert rows.loc["failed", ["epoch", "val_accuracy"]].isna().all()


def test_an_accuracy_on_known_images_has_its_interval(rows):
    assert (rows["val_accuracy_low"].iloc[0], rows["val_accuracy_high"].iloc[0]) == wilson(175, 200)
    assert (rows["test_accuracy_low"].iloc[0], rows["test_accuracy_high"].iloc[0]) == wilson(500, 1000)
    assert rows["test_accuracy_low"].isna().tolist() == [False, True, True, True]
    assert math.isnan(rows.loc["failed", "val_accuracy_low"])
    names = list(rows)
    assert names[names.index("val_accuracy") :][1:3] == ["val_accuracy_low", "val_accuracy_high"]


def test_how_a_run_ended_how_long_it_took_and_how_large_it_is(rows):
    assert rows["status"].tolist() == ["FINISHED", "FINISHED", "KILLED", "FAILED"]
    assert rows.loc["failed", ["failure", "reason"]].tolist() == ["data", "no such image"]
    assert rows.loc["pruned", "reason"] == "pruned after epoch 3"
    assert rows["duration"].between(0, 600).all()
    assert str(rows["start"].dtype).endswith("UTC]")
    assert rows["parameters"].tolist() == [1234] * 4
    assert rows["model_bytes"].iloc[0] == 3000
    assert rows["model_bytes"].isna().tolist() == [False, True, True, True]
    assert rows["commit"].tolist() == ["ab" * 6] * 4


def test_a_choice_is_known_of_a_trial_that_failed_before_its_training(store):
    whole = begin(store, {"optimizer.name": "adam", "seed": 1})
    early = begin(store, {"optimizer": "sgd"})
    with open_reader(store.layout) as reader:
        found = read_runs(reader, [whole.id, early.id])
    assert found.rows["optimizer.name"].tolist() == ["adam", "sgd"]
    assert "optimizer" not in found.rows


def test_curves_have_a_row_for_each_epoch(store, runs):
    with open_reader(store.layout) as reader:
        curves = read_curves(reader, [runs["pruned"], runs["failed"], runs["patient"]])
    assert list(curves) == ["run", "epoch", "loss", "val_accuracy", "val_loss"]
    assert curves["run"].tolist() == [runs["pruned"]] * 3 + [runs["patient"]] * 4
    assert curves["epoch"].tolist() == [1, 2, 3, 1, 2, 3, 4]
    assert curves["val_loss"].tolist()[:3] == [0.5, 0.25, 0.25]
    assert [str(dtype) for dtype in curves.dtypes[1:]] == ["int64", "float64", "float64", "float64"]


def test_a_whole_sweeps_run_is_refused(store):
    parent = begin(store, {}, kind="sweep")
    with open_reader(store.layout) as reader, pytest.raises(InputError, match=r"whole sweep: .* --sweep s$"):
        read_runs(reader, [parent.id])
