import pytest
from omegaconf import OmegaConf

from runback.classifier.train_config import TrainConfig, TrainingSpec
from runback.errors import InputError
from runback.tracking.layout import Layout

PARTS = {name: {} for name in ("model", "optimizer", "schedule", "augmentation")}


def spec(tmp_path, **training):
    given = {**PARTS, "training": training, "data": {"token": "${oc.env:MY_TOKEN}", "seed": "${seed}"}}
    config = OmegaConf.merge(OmegaConf.structured(TrainConfig), given)
    return TrainingSpec.of(config, share=3, folder=tmp_path / "run", layout=Layout(tmp_path))


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
