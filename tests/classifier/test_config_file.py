import os
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from runback.classifier.config_file import LARGEST, read_config
from runback.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "given.yaml"


def refusal(file: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_config(file)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500 + len(str(file))
    return message


def test_a_file_as_a_sweep_writes_it_is_read(file):
    file.write_text(
        "# @package _global_\n# The best trial.\ndefaults:\n- override /model: deep_cnn\n"
        "- override /data: null\n- _self_\nseed: 3\n"
        "training:\n  epochs: 2\n  objective: [val_accuracy, loss]\n"
        "model: {dense_width: 16, weights: {0: 1.5}}\noptimizer: {learning_rate: 1e-3}\n"
        "data: {path: '${tracking.experiment}/x', limit: '${.again}', again: 5}\n"
    )
    config = OmegaConf.to_container(read_config(file))
    assert isinstance(config, dict)
    assert config["defaults"] == [{"override /model": "deep_cnn"}, {"override /data": None}, "_self_"]
    assert config["optimizer"] == {"learning_rate": 0.001}
    assert config["data"]["path"] == "${tracking.experiment}/x"


@pytest.mark.parametrize(
    "text",
    [
        "hydra: {callbacks: {x: {_target_: os.system}}}",
        "'hydra': {}",
        "Hydra: {}",
        "hydra.callbacks: {}",
        "hydra/launcher: basic",
        "? hydra\n: {}",
        '"hydr\\u0061": {}',
        "# @package hydra\ncallbacks: {}",
        "override hydra/launcher: basic",
        "5: 1",
        "true: 1",
        "seeds: 1",
        "scalar",
        "${seed}: 1",
    ],
)
def test_a_key_that_is_none_of_the_apps_is_refused(file, text):
    file.write_text(text)
    assert "unknown key" in refusal(file)


@pytest.mark.parametrize(
    "entry",
    [
        "override hydra/launcher: basic",
        "override /hydra/launcher: basic",
        "override  hydra/launcher: basic",
        "hydra: x",
        "hydra/callbacks: x",
        "optional hydra/callbacks: x",
        "override optional /model: x",
        "/hydra/callbacks/x",
        "model@hydra.callbacks: x",
        "/model@_global_: x",
        "model@:hydra: x",
        "experiment@hydra: x",
        "../model: x",
        "model/../hydra: x",
        "sweeps: x",
        "/data/flowers: x",
        "override /data/flowers: x",
        "data/flowers@_global_: x",
        "model/sub: x",
        "experiment/sub@model: x",
        "conf: x",
        "conf/model: x",
        "src: x",
        "'${seed}': x",
        "5: x",
        "{model: x, hydra: y}",
        "[model, x]",
        "5",
    ],
)
def test_a_choice_outside_the_apps_groups_is_refused(file, entry):
    entry = entry if entry.startswith(("{", "[")) or ": " not in entry else f"{{{entry}}}"
    file.write_text(f"defaults: [{entry}]")
    assert "defaults may name choices of" in refusal(file)


@pytest.mark.parametrize(
    "choice", ["../../x", "/etc/x", "'${seed}'", "a/b", "..", "[a, b]", "{a: b}", "5", "''"]
)
def test_a_choice_that_is_no_file_of_its_group_is_refused(file, choice):
    file.write_text(f"defaults:\n- override /model: {choice}\n")
    assert "override /model must name a file of conf/" in refusal(file)


@pytest.mark.parametrize(
    "value",
    [
        "${oc.env:HOME}",
        "${oc.env:NOT_SET,x}",
        "a ${oc.env:HOME} b",
        "${oc.decode:1}",
        "${oc.create:{}}",
        "${now:%Y}",
        "${hydra:runtime.cwd}",
        "${hydra.runtime.cwd}",
        "${[hydra].runtime.cwd}",
        "${..hydra.runtime.cwd}",
        "${seed} ${hydra.job.name}",
        "${seed.${oc.env:HOME}}",
        "$${seed}{oc.env:HOME}",
    ],
)
def test_what_comes_from_elsewhere_is_refused(file, value):
    for text in (f"training: {{objective: '{value}'}}", f"model: {{a: [{{b: '{value}'}}]}}"):
        file.write_text(text)
        assert "may refer to other keys only" in refusal(file)
    file.write_text(f"model: {{'{value}': 1}}")
    assert "no key can be" in refusal(file)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"model: &a {x: *a}", "an anchor is not allowed"),
        (b"model: &a [x]\ndata: [*a, *a]", "an anchor is not allowed"),
        (b"model: !!python/object/apply:os.system [id]", "a tag is not allowed"),
        (b"model: !!binary aGk=", "a tag is not allowed"),
        (b"model: !own 5", "a tag is not allowed"),
        (b"seed: 1\nseed: 2", "duplicate key seed"),
        (b"model:\n\tx: 1", "found character '\\t'"),
        (b"seed: 1\0", "#x0000"),
        (b"seed: \xff", "no text in UTF-8"),
        (b"seed: 1\n---\nseed: 2", "expected a single document"),
        (b"? [a, b]\n: 1", "unhashable key"),
        (b"model: {null: 1}", "cannot read"),
        (b"model: {1.5: 1}", "no key can be 1.5"),
        (b"model: {a.b: 1}", "no key can be 'a.b'"),
        (b"seed: ${a", "cannot read"),
        (b"seed: " + b"9" * 5000, "cannot read"),
        (b"data: {url: 'https://example.org/x'}", "may not set data.url, which says what is downloaded"),
        (b"data: {sha256: 'a'}", "may not set data.sha256"),
        (b"seed: 0x" + b"f" * 5000, "a number of 20,000 bits at seed"),
        (b"seed: 1" + b":59" * 3000, "bits at seed"),
        (b"seed: " + b"a" * 20_000, "a value of 20,000 characters"),
        (b"model:\n" + b"".join(b" k%d: 1\n" % n for n in range(6000)), "more than 10,000 keys and values"),
        (b"model: {a: '" + b"${seed}" * 17 + b"'}", "17 interpolations; expected at most 16"),
        (b"model: {a: '${model}'}", "grows too large|lead in a circle"),
        (b"model: {a: '${.b}', b: '${.a}'}", "lead in a circle"),
        (b"model: " + b"[" * 5000 + b"]" * 5000, "too deep"),
        (b"model: " + b"{a: " * 5000, "too deep"),
        (b"#" * (LARGEST + 1), "larger than 256 KiB"),
        (b"- a", "must hold keys and values"),
        (b"", "must hold keys and values"),
        (b"defaults: model", "defaults must be a list"),
        (b"model: [", "in line 1, column 9"),
    ],
)
def test_yaml_that_is_more_than_keys_and_values_is_refused(file, content, told):
    file.write_bytes(content)
    assert re.search(told.replace("\\", "\\\\"), refusal(file))


def doubling(levels: int, start: str = "x: 1") -> str:
    """Write values that each hold the one before twice."""
    lines = [f"  z{n}: {{l: '${{model.z{n - 1}}}', r: '${{model.z{n - 1}}}'}}" for n in range(1, levels + 1)]
    return "\n".join(["model:", f"  z0: {{{start}}}", *lines])


@pytest.mark.timeout(20)
def test_references_that_double_what_they_refer_to_are_refused_before_they_are_followed(file):
    file.write_text(doubling(3))
    read_config(file)
    many = ", ".join(f"k{n}: {n}" for n in range(200))
    for text in (doubling(8), doubling(6, many), doubling(7, f"x: {'y' * 9000}")):
        file.write_text(text)
        assert "grows too large where its references are followed" in refusal(file)


def test_what_is_no_ordinary_file_is_refused_at_once(file, tmp_path):
    os.mkfifo(file)
    assert "no ordinary file" in refusal(file)
    for name, target in (("zero", "/dev/zero"), ("fifo", file), ("loop", "loop"), ("gone", "nothing")):
        (tmp_path / name).symlink_to(target)
        assert "cannot read the config" in refusal(tmp_path / name)
    assert "no ordinary file" in refusal(Path("/dev/zero"))
    assert "Is a directory" in refusal(tmp_path)
