import os

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from runback.errors import DataError
from runback.runs.live.run_data import fingerprints

ARRAY = np.arange(12.0).reshape(4, 3)


def one(value, name="data"):
    [found] = fingerprints(value, name)
    return found


def test_arrays_frames_and_their_mixtures_have_a_fingerprint_each():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    found = fingerprints({"x": (ARRAY, [1, 2, 3]), "frame": frame}, "data")
    assert [(one.name, one.kind, one.shape) for one in found] == [
        ("data.x.0", "array", [4, 3]),
        ("data.x.1", "array", [3]),
        ("data.frame", "frame", [2, 2]),
    ]
    assert found[0].line().startswith("  data.x.0: array of 4 x 3 float64, by its values, ")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ARRAY, ARRAY + np.eye(4, 3) * 1e-12),
        (ARRAY, ARRAY.astype(np.float32)),
        (ARRAY, ARRAY.reshape(3, 4)),
        (np.array(["a", "b"]), np.array(["a", "c"])),
        (np.array([1, "a", None], object), np.array([1, "b", None], object)),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]})),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]})),
        (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]}, index=[5, 6])),
        (pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["y"]})),
        (scipy.sparse.eye(3).tocsr(), scipy.sparse.eye(3).tocsr() * 2),
        (pd.Series([1, 2]), pd.Series([2, 1])),
    ],
)
def test_another_value_type_shape_or_name_is_another_fingerprint(before, after):
    assert one(before).sha256 != one(after).sha256
    assert one(before).sha256 == one(before.copy()).sha256


def test_files_and_folders_are_known_by_their_content_and_names(tmp_path):
    folder = tmp_path / "data"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.txt").write_text("one")
    (folder / "b.txt").write_text("two")
    before = one(folder)
    assert (before.kind, before.shape) == ("folder", [2, 6])
    assert one(str(folder / "b.txt")).kind == "file"
    os.utime(folder / "b.txt", (0, 0))
    assert one(folder) == before
    (folder / "b.txt").rename(folder / "c.txt")
    renamed = one(folder)
    (folder / "c.txt").write_text("owt")
    assert len({before.sha256, renamed.sha256, one(folder).sha256}) == 3


def test_lists_are_looked_into_at_every_depth(tmp_path):
    (tmp_path / "a.txt").write_text("one")
    found = fingerprints([[np.ones(3), np.ones(4)], [str(tmp_path / "a.txt")]], "data")
    assert [(part.name, part.kind) for part in found] == [
        ("data.0.0", "array"),
        ("data.0.1", "array"),
        ("data.1.0", "file"),
    ]


def test_a_list_of_numbers_of_numpy_is_one_array():
    assert one(list(np.arange(3))).sha256 == one(np.arange(3)).sha256


def test_the_mask_of_an_array_is_part_of_it():
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert [part.name for part in fingerprints(masked, "data")] == ["data", "data.mask"]
    hidden = np.ma.array([1, 7, 3], mask=[False, True, False])
    assert fingerprints(masked, "data") == fingerprints(hidden, "data")
    assert fingerprints(masked, "data") != fingerprints(np.ma.array([1, 2, 3]), "data")


def test_two_parts_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"2 parts called 'data\.1'"):
        fingerprints({1: ARRAY, "1": ARRAY}, "data")


@pytest.mark.parametrize(
    "value",
    [iter([1]), object(), None, (part for part in "ab"), {1, 2}, np.array([object()])],
    ids=lambda one: type(one).__name__,
)
def test_what_cannot_be_looked_into_is_refused(value):
    with pytest.raises(DataError, match="cannot look into"):
        fingerprints(value, "data")


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no file or folder"):
        fingerprints(tmp_path / "nope", "data")
