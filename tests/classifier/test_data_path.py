import os

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from omegaconf import OmegaConf

from runback.classifier.data_path import with_absolute_override, with_absolute_path
from runback.errors import InputError


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
    assert parsed == os.path.normpath(f"{tmp_path}/{path}")
    assert with_absolute_override(f"+data.path={value}").startswith("+data.path=")


@pytest.mark.parametrize(
    "override",
    [
        "data.path=/abs/flowers",
        "data.path=null",
        "data.path=${oc.env:IMAGES}",
        "data.path='${oc.env:IMAGES}/x'",
        "data.path=/a,/b",
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


@pytest.mark.parametrize("other", ["/b", "'/b'", "null", "${oc.env:IMAGES}", "'${oc.env:IMAGES}/x'"])
def test_each_of_several_paths_becomes_absolute(tmp_path, monkeypatch, other):
    monkeypatch.chdir(tmp_path)
    called = [f"choice(a,{other})"] if other != "null" else []  # which the grammar does not take there
    for value in (f"a,{other}", f"'a',{other}", *called):
        elements = parsed(with_absolute_override(f"data.path={value}"))
        assert elements == [f"{tmp_path}/a", None if other == "null" else other.strip("'")]


def parsed(override):
    sweep = OverridesParser.create().parse_override(override).value()
    return [element.text if isinstance(element, QuotedString) else element for element in sweep.list]


def test_a_home_is_followed(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert with_absolute_override("data.path='~/x'") == "data.path='/home/somebody/x'"


def test_a_path_of_a_config_file_is_one_of_the_project_and_a_variable_is_left(tmp_path, monkeypatch):
    relative = OmegaConf.create({"data": {"path": "flowers"}, "seed": 1})
    assert with_absolute_path(relative, tmp_path).data.path == f"{tmp_path}/flowers"
    assert relative.data.path == "flowers"
    monkeypatch.setenv("IMAGES", "flowers")
    for data in ({"path": "${oc.env:IMAGES}"}, {"path": None}, {"path": "/abs"}, {"n_train": 3}):
        config = OmegaConf.create({"data": data})
        assert with_absolute_path(config, tmp_path) is config


def test_a_path_of_a_config_file_may_begin_with_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    config = OmegaConf.create({"data": {"path": "~/x"}})
    assert with_absolute_path(config, tmp_path).data.path == "/home/somebody/x"


@pytest.mark.parametrize("name", ["2024", "1e3", "007", "true", "-1"])
def test_a_folder_may_be_called_like_a_number(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert with_absolute_override(f"data.path={name}") == f"data.path='{tmp_path}/{name}'"


def test_nothing_is_no_path(tmp_path):
    assert with_absolute_override("data.path=") == "data.path="
    with pytest.raises(InputError, match=r"data\.path: expected a path; got nothing"):
        with_absolute_path(OmegaConf.create({"data": {"path": ""}}), tmp_path)


def test_a_variable_that_is_not_set_is_left_to_whoever_resolves_it(tmp_path):
    config = OmegaConf.create({"data": {"path": "${oc.env:NOBODY_SETS_THIS}"}})
    assert with_absolute_path(config, tmp_path) is config


def test_a_file_of_weights_is_a_path_and_a_word_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert with_absolute_override("model.weights=w/a.keras") == f"model.weights='{tmp_path}/w/a.keras'"
    config = OmegaConf.create({"model": {"weights": "a.weights.h5"}, "data": {"path": "b"}})
    changed = with_absolute_path(config, tmp_path)
    assert (changed.model.weights, changed.data.path) == (f"{tmp_path}/a.weights.h5", f"{tmp_path}/b")
    word = OmegaConf.create({"model": {"weights": "imagenet"}, "data": {}})
    assert with_absolute_path(word, tmp_path) is word


def test_a_part_without_a_path_stays_as_it_is(tmp_path):
    for text in ("data: {n: 1}", "data: ${nope}", "data: {path: '???'}", "data: null", "seed: 1"):
        config = OmegaConf.create(text)
        OmegaConf.set_struct(config, True)
        assert with_absolute_path(config, tmp_path) is config


@pytest.mark.parametrize("address", ["s3://bucket/pets", "hf://datasets/pets", "'https://host/a?b'"])
def test_an_address_is_no_path(tmp_path, address):
    assert with_absolute_override(f"data.path={address}") == f"data.path={address}"
    config = OmegaConf.create({"data": {"path": address.strip("'")}})
    assert with_absolute_path(config, tmp_path) is config


def test_folders_called_like_numbers_are_paths_in_a_list_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parsed(with_absolute_override("data.path=2024,pets")) == [f"{tmp_path}/2024", f"{tmp_path}/pets"]
