import copy
import json

import pytest

from runback.provenance.comparing.difference import (
    Difference,
    code_reservations,
    compared_parts,
    differences,
)

RECORD = {
    "format": "runback-record-1",
    "code": {
        **{"commit": "c" * 40, "tree": "d" * 40, "branch": "trunk", "remote": None, "dirty": True},
        **{"patch_sha256": "e" * 64, "untracked": {"new.py": "f" * 64}, "left_out": []},
    },
    "packages": {
        "keras": "3.15.1",
        "nvidia-cudnn-cu12": "9.1",
        "nvidia-ml-py": "13.0",
        "tensorflow": "2.21.0",
    },
    "python": {"version": "3.11.7", "implementation": "CPython"},
    "system": {"os": "Linux-6.1-x86_64-with-glibc2.36", "machine": "x86_64"},
    "tensorflow": {
        **{"version": "2.21.0", "git_version": "v2.21.0-0-gabc", "onednn": True},
        "build": {"cuda_version": "12.5.1", "is_cuda_build": True, "cuda_compute_capabilities": ["sm_60"]},
    },
    "hardware": {
        "cpu": {"model": "Xeon", "flags": ["aes", "avx", "avx2", "sse"]},
        "gpus": [{"name": "H200", "driver": "570", "memory_bytes": 10}],
    },
    "threads": {"training": 2},
    "environment": {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "seeds": {"seed": 1, "validation_seed": 0},
    "data": {
        split: {
            "sha256": "a" * 64,
            "shape": [90, 8, 8, 1],
            "dtype": "uint8",
            "class_counts": {"0": 50, "1": 40},
        }
        for split in ("train", "validation")
    },
    "config_sha256": "b" * 64,
}


def changed(*path, to):
    """The record with one value replaced; the path's last part is its key."""
    record = copy.deepcopy(RECORD)
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return record


PARTS = ("code", "packages", "python", "hardware", "data")

NO_CODE = {**RECORD["code"], "commit": None, "tree": None, "patch_sha256": None, "untracked": {}}


def test_only_what_both_records_tell_is_compared():
    assert compared_parts(RECORD, RECORD, PARTS) == (["code", "packages", "Python", "hardware", "data"], [])
    without = changed("code", to=NO_CODE)
    for then, now in ((without, RECORD), (RECORD, without), (without, without)):
        told, untold = compared_parts(then, now, PARTS)
        assert (told, untold) == (["packages", "Python", "hardware", "data"], ["code"])
    older = {key: value for key, value in RECORD.items() if key not in ("hardware", "python")}
    assert compared_parts(older, RECORD, PARTS) == (["code", "packages", "data"], ["Python", "hardware"])


def test_code_that_one_record_lacks_differs_by_its_commit_alone():
    found = [one for one in differences(RECORD, changed("code", to=NO_CODE)) if one.part == "code"]
    assert [(one.what, one.then, one.now) for one in found] == [("commit", "c" * 12, "not recorded")]


def test_what_a_record_of_code_lacks_is_no_part_of_the_comparison():
    assert code_reservations(RECORD, RECORD) == []
    partial = changed("code", "left_out", to=[{"path": "big.bin", "reason": "too large"}])
    assert code_reservations(partial, RECORD) == [
        "not compared, because the recorded run's record leaves it out: big.bin"
    ]
    edited = changed("code", "edited", to=["train.py"])
    assert code_reservations(RECORD, edited) == ["edited after this one's process had read it: train.py"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("edited", ["\x1b[2Ja.py", "b\nc.py"]),
        ("left_out", [{"path": "\x1b[2Ja.py", "reason": "r"}, {"path": "b\nc.py", "reason": "r"}]),
    ],
)
def test_names_in_a_record_reach_no_terminal_raw(key, names):
    [line] = code_reservations(changed("code", key, to=names), RECORD)
    assert line.endswith(": \\x1b[2Ja.py, b\\nc.py")


def test_a_record_does_not_differ_from_itself():
    assert differences(RECORD, json.loads(json.dumps(RECORD))) == []


@pytest.mark.parametrize(
    ("path", "to", "expected"),
    [
        (("data", "train", "sha256"), "9" * 64, ("data", "train content", "a" * 12, "9" * 12, False)),
        (
            ("data", "train", "shape"),
            [91, 8, 8, 1],
            ("data", "train shape", "90, 8, 8, 1", "91, 8, 8, 1", False),
        ),
        (
            ("data", "validation", "class_counts"),
            {"0": 50, "1": 39, "2": 1},
            ("data", "validation classes", "1 40", "1 39, 2 1", False),
        ),
        (("config_sha256",), "8" * 64, ("config", "resolved config", "b" * 12, "8" * 12, False)),
        (("seeds", "validation_seed"), 7, ("seeds", "validation seed", "0", "7", False)),
        (("code", "tree"), "7" * 40, ("code", "commit", "c" * 12, "c" * 12, False)),
        (("code", "patch_sha256"), None, ("code", "uncommitted changes", "e" * 12, "none", False)),
        (("code", "untracked"), {}, ("code", "untracked files", "new.py " + "f" * 12, "none", False)),
        (("threads", "training"), 1, ("threads", "threads", "2", "1", True)),
        (("hardware", "cpu", "model"), "EPYC", ("hardware", "CPU model", "Xeon", "EPYC", True)),
        (
            ("hardware", "cpu", "flags"),
            ["aes", "avx512f", "avx", "sse"],
            ("hardware", "CPU flags", "avx2", "avx512f", True),
        ),
        (("hardware", "gpus"), [], ("hardware", "GPU", "H200", "none", True)),
        (
            ("hardware", "gpus"),
            [{"name": "H200", "driver": "580", "memory_bytes": 10}],
            ("hardware", "GPU driver", "570", "580", True),
        ),
        (("tensorflow", "onednn"), False, ("tensorflow", "oneDNN", "on", "off", True)),
        (
            ("tensorflow", "git_version"),
            "v2.21.0-1-gdef",
            ("tensorflow", "TensorFlow's commit", "v2.21.0-0-gabc", "v2.21.0-1-gdef", True),
        ),
        (
            ("tensorflow", "build", "cuda_compute_capabilities"),
            ["sm_60", "sm_90"],
            ("tensorflow", "cuda compute capabilities", "sm_60", "sm_60, sm_90", True),
        ),
        (("packages", "keras"), "3.16.0", ("packages", "keras", "3.15.1", "3.16.0", True)),
        (
            ("packages", "nvidia-cudnn-cu12"),
            "9.2",
            ("packages", "nvidia-cudnn-cu12", "9.1", "9.2", True),
        ),
        (("packages", "nvidia-ml-py"), "14", ("packages", "nvidia-ml-py", "13.0", "14", False)),
        (("packages", "pillow"), "12", ("packages", "pillow", "not installed", "12", False)),
        (("environment",), {}, ("environment", "TF_ENABLE_ONEDNN_OPTS", "1", "not set", True)),
        (("environment", "KERAS_BACKEND"), "jax", ("environment", "KERAS_BACKEND", "not set", "jax", False)),
        (("python", "version"), "3.12.1", ("python", "Python", "3.11.7", "3.12.1", False)),
        (("system", "machine"), "aarch64", ("system", "machine", "x86_64", "aarch64", True)),
        (
            ("system", "os"),
            "macOS-26",
            ("system", "operating system", "Linux-6.1-x86_64-with-glibc2.36", "macOS-26", False),
        ),
    ],
)
def test_each_thing_that_can_differ_is_told(path, to, expected):
    assert differences(RECORD, changed(*path, to=to)) == [Difference(*expected)]


def test_the_likeliest_causes_come_first():
    other = copy.deepcopy(RECORD)
    other["packages"] |= {"numpy": "3", "attrs": "9"}
    other["system"]["os"] = other["python"]["version"] = "other"
    other["environment"] = {"A": "1", "XLA_FLAGS": "1", "TF_ENABLE_ONEDNN_OPTS": "1"}
    other["tensorflow"]["onednn"] = False
    other["hardware"]["cpu"]["model"] = "other"
    other["threads"]["training"] = other["seeds"]["seed"] = 9
    other["code"]["tree"] = other["config_sha256"] = other["data"]["train"]["sha256"] = "0"
    assert [(one.part, one.what) for one in differences(RECORD, other)] == [
        ("data", "train content"),
        ("config", "resolved config"),
        ("seeds", "seed"),
        ("code", "commit"),
        ("threads", "threads"),
        ("hardware", "CPU model"),
        ("tensorflow", "oneDNN"),
        ("packages", "numpy"),
        ("environment", "XLA_FLAGS"),
        ("environment", "A"),
        ("python", "Python"),
        ("system", "operating system"),
        ("packages", "attrs"),
    ]


def test_another_tensorflow_is_told_once():
    other = copy.deepcopy(RECORD)
    other["tensorflow"] |= {"version": "2.22.0", "git_version": "v2.22.0"}
    other["packages"]["tensorflow"] = "2.22.0"
    assert [one.what for one in differences(RECORD, other)] == ["TensorFlow"]


def test_another_tensorflow_is_told_where_it_was_not_imported():
    other = copy.deepcopy(RECORD)
    del other["tensorflow"]
    other["packages"]["tensorflow"] = "2.22.0"
    assert [(one.what, one.numeric) for one in differences(RECORD, other)] == [("tensorflow", True)]


def test_many_flags_are_counted():
    flags = [f"flag{number}" for number in range(9)]
    found = differences(RECORD, changed("hardware", "cpu", "flags", to=flags))
    assert found[0].then == "aes, avx, avx2, sse"
    assert found[0].now == "flag0, flag1, flag2, flag3, flag4, flag5 and 3 more"


def without_each_value(record, path=()):
    for key, value in record.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from without_each_value(value, (*path, key))


@pytest.mark.parametrize("kind", ["missing", "none"])
def test_what_an_older_record_lacks_is_no_difference(kind):
    for path in without_each_value(RECORD):
        if path[:2] in [("code", key) for key in ("tree", "patch_sha256", "untracked")]:
            continue
        if path[0] in ("packages", "environment") and len(path) == 2:
            continue
        if "class_counts" in path[:-1]:
            continue
        if kind == "missing" and path[0] == "data" and len(path) == 2:
            continue  # data that one run alone was trained on
        older = changed(*path, to=None)
        if kind == "missing":
            inner = older
            for key in path[:-1]:
                inner = inner[key]
            del inner[path[-1]]
        assert (differences(older, RECORD), differences(RECORD, older)) == ([], []), path
    assert differences({}, RECORD) == differences({}, {}) == []


def test_two_commits_with_one_tree_are_the_same_code():
    other = changed("code", "commit", to="9" * 40)
    assert differences(RECORD, other) == []


@pytest.mark.parametrize(
    ("key", "to"),
    [("tree", "0" * 40), ("tree", None), ("patch_sha256", None), ("untracked", {"new.py": "0"})],
)
def test_other_code_is_not_the_same(key, to):
    assert {one.part for one in differences(RECORD, changed("code", key, to=to))} == {"code"}


def test_code_of_which_nothing_is_known_is_not_the_same():
    assert compared_parts({}, {}, ["code"]) == ([], ["code"])
    assert compared_parts(RECORD, {}, ["code"]) == ([], ["code"])


def test_a_difference_as_json():
    (one,) = differences(RECORD, changed("threads", "training", to=1))
    assert json.loads(json.dumps(one.as_dict())) == {
        "part": "threads",
        "what": "threads",
        "then": "2",
        "now": "1",
        "numeric": True,
    }


@pytest.mark.parametrize(
    ("then", "now", "shown"),
    [
        ({"train": {"sha256": "a" * 64, "shape": [2]}}, {}, ("train", "a" * 12, "not there")),
        ({}, {"train": {"sha256": "a" * 64, "shape": [2]}}, ("train", "not there", "a" * 12)),
        (
            {"data.0": {"sha256": "a" * 64, "shape": [2]}},
            {"data.0": {"sha256": "a" * 64, "shape": [2]}, "data.1": {"sha256": "b" * 64, "shape": [2]}},
            ("data.1", "not there", "b" * 12),
        ),
    ],
)
def test_data_that_only_one_run_has_is_a_difference(then, now, shown):
    [found] = differences({"data": then}, {"data": now})
    assert (found.part, found.what, found.then, found.now) == ("data", *shown)
    assert not found.numeric
