import pytest
from omegaconf import OmegaConf

from runback.classifier.train_config import TrainConfig
from runback.classifier.training_task import resolve, train
from runback.errors import InputError
from runback.runs.tasks.task_spec import task_spec
from runback.tracking.layout import Layout

PARTS = {name: {} for name in ("model", "optimizer", "schedule", "augmentation")}


def spec(tmp_path, **training):
    given = {**PARTS, "training": training, "data": {"token": "${oc.env:MY_TOKEN}", "seed": "${seed}"}}
    config = OmegaConf.merge(OmegaConf.structured(TrainConfig), given)
    return task_spec(
        resolve(config, tmp_path),
        share=3,
        name="",
        choices={},
        overrides=(),
        folder=tmp_path / "run",
        layout=Layout(tmp_path),
    )


def options(tmp_path, **training):
    return train.parameters.arguments(spec(tmp_path, **training).config)["training"]


def test_a_training_has_its_share_of_threads_unless_its_config_names_some(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    assert spec(tmp_path).threads == 3
    assert spec(tmp_path).written.tree["training"]["threads"] == 3
    assert spec(tmp_path, threads=2).threads == 2


def test_a_training_uses_values_and_writes_references(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    made = spec(tmp_path)
    assert made.config["data"] == {"token": "hunter2hunter2", "seed": 0}
    assert made.written.tree["data"] == {"token": "${oc.env:MY_TOKEN}", "seed": 0}
    assert made.written.environment == {"data.token": ["MY_TOKEN"]}


def test_a_training_without_a_variable_that_it_reads_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("MY_TOKEN", raising=False)
    with pytest.raises(InputError, match="environment variable 'MY_TOKEN' not found"):
        spec(tmp_path)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"label_smoothing": 1.0}, r"training.label_smoothing must lie in \[0, 1\); got 1.0"),
        ({"label_smoothing": -0.1}, "training.label_smoothing must lie in"),
        ({"top_k": 0}, "training.top_k must be at least 1; got 0"),
        ({"objective": "val_top_k_accuracy"}, "needs a k: set training.top_k"),
        ({"objective": "val_macro_f1", "direction": "minimize"}, "must be maximize for val_macro_f1"),
    ],
)
def test_options_of_the_criterion_that_cannot_be_are_refused(tmp_path, monkeypatch, training, message):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    with pytest.raises(InputError, match=message):
        options(tmp_path, **training)


def test_macro_f1_is_measured_where_it_is_an_objective_or_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    assert not options(tmp_path).measures_macro_f1
    assert options(tmp_path, macro_f1=True).measures_macro_f1
    both = {"objective": ["val_loss", "val_macro_f1"], "direction": ["minimize", "maximize"]}
    assert options(tmp_path, **both).measures_macro_f1


@pytest.mark.parametrize("watched", ["val_macro_f1", "val_top_k_accuracy"])
def test_patience_watches_the_new_scores_too(tmp_path, monkeypatch, watched):
    monkeypatch.setenv("MY_TOKEN", "hunter2hunter2")
    assert options(tmp_path, patience=2, objective=watched, top_k=2).patience == 2
