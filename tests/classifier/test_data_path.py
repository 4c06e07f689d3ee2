from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from runback.classifier.data_path import with_absolute_override, with_absolute_path


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("flowers", "flowers"),
        ("../a/b", "../a/b"),
        ("'my pictures'", "my pictures"),
        ('"it\'s, mine"', "it's, mine"),
        ("a\\ b", "a b"),
    ],
)
def test_an_override_gets_an_absolute_path_that_means_the_same(tmp_path, monkeypatch, value, path):
    monkeypatch.chdir(tmp_path)
    override = with_absolute_override(f"data.path={value}")
    parsed = OverridesParser.create().parse_override(override).value()
    assert parsed == f"{tmp_path}/{path}"
    assert with_absolute_override(f"+data.path={value}").startswith("+data.path=")


@pytest.mark.parametrize(
    "override",
    [
        "data.path=/abs/flowers",
        "data.path=null",
        "data.path=${oc.env:IMAGES}",
        "data.path='${oc.env:IMAGES}/x'",
        "data.path=a,b",
        "data.path=~/x",
        "data.path=[",
        "model.path=flowers",
        "model.weights=imagenet",
        "model.weights=null",
        "model.weights=/abs/mobile.weights.h5",
        "seed=3",
    ],
)
def test_other_overrides_stay_as_they_are(override):
    assert with_absolute_override(override) == override


def test_a_home_is_followed(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert with_absolute_override("data.path='~/x'") == "data.path='/home/somebody/x'"


def test_a_path_of_a_config_file_is_made_absolute_and_a_variable_is_left(monkeypatch):
    relative = OmegaConf.create({"data": {"path": "flowers"}, "seed": 1})
    assert with_absolute_path(relative).data.path == str(Path("flowers").absolute())
    assert relative.data.path == "flowers"
    monkeypatch.setenv("IMAGES", "flowers")
    for data in ({"path": "${oc.env:IMAGES}"}, {"path": None}, {"path": "/abs"}, {"n_train": 3}):
        config = OmegaConf.create({"data": data})
        assert with_absolute_path(config) is config


def test_a_file_of_weights_is_a_path_and_a_word_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert with_absolute_override("model.weights=w/a.keras") == f"model.weights='{tmp_path}/w/a.keras'"
    config = OmegaConf.create({"model": {"weights": "a.weights.h5"}, "data": {"path": "b"}})
    changed = with_absolute_path(config)
    assert (changed.model.weights, changed.data.path) == (f"{tmp_path}/a.weights.h5", f"{tmp_path}/b")
    word = OmegaConf.create({"model": {"weights": "imagenet"}, "data": {}})
    assert with_absolute_path(word) is word
