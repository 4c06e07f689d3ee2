import copy
from typing import Any

import pytest

from runback.errors import InputError
from runback.provenance.comparing.record_form import BundleForm, RecordForm, ResultForm, check_form

SPLIT = {"sha256": "c" * 64, "shape": [10, 8, 8, 1], "class_counts": {"a": 10}}

RECORD: dict[str, Any] = {
    "format": "runback-record-1",
    "code": {
        **{"commit": "a" * 40, "tree": "b" * 64, "branch": "trunk", "remote": None, "project": "."},
        **{"patch_sha256": None, "untracked": {"new.py": "d" * 64}, "left_out": []},
    },
    "packages": {"numpy": "2.1"},
    "python": {"version": "3.12.4", "implementation": "CPython"},
    "system": {"os": "Linux", "machine": "x86_64"},
    "tensorflow": {"version": "2.21", "build": {"is_cuda_build": False}, "onednn": True},
    "hardware": {"cpu": {"model": "x", "flags": ["avx"]}, "gpus": []},
    "threads": {"training": 1},
    "environment": {},
    "seeds": {"seed": 0, "validation_seed": None},
    "data": {"train": SPLIT, "validation": SPLIT},
    "choices": {"model": "deep_cnn", "augmentation": "none"},
    "config_sha256": "e" * 64,
    "variables": {"data.path": ["PICTURES"]},
    "secrets": [],
}


def with_value(facts: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(facts)
    node = changed
    *above, last = path.split(".")
    for key in above:
        node = node[key]
    node[last] = value
    return changed


def test_a_record_is_taken():
    check_form(RecordForm, RECORD, "record.json")


@pytest.mark.parametrize(
    ("kind", "shape"), [("folder", [3, 2**40]), ("array", []), ("array", [2, 2**30]), ("array", [1] * 12)]
)
def test_a_record_of_other_data_than_images_is_taken(kind, shape):
    part = {"sha256": "c" * 64, "kind": kind, "shape": shape, "class_counts": {}}
    check_form(RecordForm, with_value(RECORD, "data", {"data": part}), "record.json")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("code.commit", "\x1b[8m"),
        ("code.commit", "HEAD"),
        ("code.commit", "--output=x"),
        ("code.commit", "a" * 40 + "\n"),
        ("code.commit", "A" * 40),
        ("code.tree", "a" * 41),
        ("code.patch_sha256", "yes"),
        ("code.branch", "x" * 1001),
        ("code.remote", 3),
        ("code.untracked", {"x": "no sum"}),
        ("code.left_out", ["x"]),
        ("python.version", "/home/evil/python"),
        ("python.version", "3.12"),
        ("python.version", "3.12.1; x"),
        ("python", {}),
        ("hardware.cpu.flags", 3),
        ("tensorflow.build", []),
        ("data.train.shape", [1, 2**20, 2**20, 3]),
        ("data.train.shape", [1, -1]),
        ("choices.model", "**![](https://evil.example/x.png)"),
        ("packages", {"x": "y" * 10_001}),
    ],
)
def test_a_record_of_another_form_is_refused(path, value):
    with pytest.raises(InputError, match=f"cannot be used: {path}") as error:
        check_form(RecordForm, with_value(RECORD, path, value), "record.json")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("missing", ["finished", "epochs"])
def test_a_result_lacks_nothing(missing):
    facts = {"format": "runback-result-1", "epochs": [], "weights": None, "predictions": None}
    facts["finished"] = True
    del facts[missing]
    with pytest.raises(InputError, match=missing):
        check_form(ResultForm, facts, "result.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "x"),
        ("id", "a" * 32 + "\n"),
        ("name", "n" * 1001),
        ("status", "DONE"),
        ("tags", {"a": 1}),
        ("tags", {str(n): "" for n in range(1001)}),
    ],
)
def test_a_manifest_about_no_run_is_refused(key, value):
    facts = {"id": "a" * 32, "name": "first", "status": "FINISHED", "tags": {}}
    check_form(BundleForm, facts, "manifest.json")
    with pytest.raises(InputError, match=key):
        check_form(BundleForm, facts | {key: value}, "manifest.json")
