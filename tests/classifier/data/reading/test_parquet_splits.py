"""Parquet files as hubs and people write them: splits, shards, and labels of every kind."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image

from runback.classifier.data.parquet import load
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.data.split import split
from runback.errors import DataError

KNOBS = {"limit": None, "validation_fraction": 0.1, "validation_split": "stratified", "validation_seed": 0}


@pytest.fixture
def write(tmp_path, picture):
    """Write n pictures, numbered from `first`, with these labels (by default 0, 1, 2, 0, …)."""

    def table(name, n=30, first=0, labels=None, metadata=None):
        labels = [number % 3 for number in range(n)] if labels is None else labels
        columns = {"image": [picture(first + number) for number in range(len(labels))], "label": labels}
        file = tmp_path / "hub" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), file)
        return tmp_path / "hub"

    return table


def hugging_face(names):
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})}


def first_pixels(dataset):
    return [image[0, 0].tolist() for image in dataset.images]


def counts(found):
    return {name: (one.train, one.validation, one.test) for name, one in found.classes.items()}


def summary(path, cache, **knobs):
    return DataSummary.of(*split(load("train", cache=cache, path=path, **knobs), **KNOBS), "parquet")


@pytest.mark.parametrize("name", ["validation", "val", "valid", "Validation", "dev"])
def test_a_validation_file_is_used(write, cache, name):
    write("train.parquet"), write(f"{name}.parquet", 6, 100)
    path = write("test.parquet", 3, 200)
    assert counts(summary(path, cache)) == dict.fromkeys("012", (10, 2, 1))


def test_shards_are_one_split_in_their_order(write, cache):
    whole = first_pixels(load("train", cache=cache, path=write("train.parquet", 60) / "train.parquet"))
    (write("x.parquet") / "train.parquet").unlink()
    for number in (1, 0):
        write(f"data/train-{number:05}-of-00002.parquet", 30, 30 * number)
    path = write("data/test-00000-of-00001.parquet", 6, 500)
    (path / "x.parquet").unlink()
    train = load("train", cache=cache, path=path)
    assert len(train) == 60
    assert [image for image in first_pixels(train) if image in whole] == whole
    assert train.labels.tolist() == [number % 3 for number in range(30)] * 2
    assert len(load("test", cache=cache, path=path)) == 6


@pytest.mark.parametrize("given", [(0,), (1,), (0, 2)])
def test_a_missing_shard_is_named(write, cache, given):
    for number in given:
        path = write(f"train-{number:05}-of-{3 if 2 in given else 2:05}.parquet")
    missing = 1 if 0 in given else 0
    total = 3 if 2 in given else 2
    with pytest.raises(
        DataError, match=f"expected {total} shards; train-0000{missing}-of-0000{total}.parquet missing"
    ):
        load("train", cache=cache, path=path)


def test_a_split_in_a_folder_of_its_own_is_found(write, cache):
    write("train/0000.parquet"), write("train/0001.parquet", 30, 100)
    path = write("test/0000.parquet", 3, 200)
    assert counts(summary(path, cache))["0"] == (18, 2, 1)


def test_a_split_that_is_there_twice_is_refused(write, cache):
    write("train.parquet")
    path = write("train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"expected one train split in .*; got train.parquet and train-00000"):
        load("train", cache=cache, path=path)


def test_a_folder_without_a_training_split_says_what_is_there(write, cache):
    write("birds.parquet")
    path = write("test.parquet")
    with pytest.raises(DataError, match=r"got .*hub with birds.parquet, test.parquet"):
        load("train", cache=cache, path=path)


def test_files_of_no_split_are_counted(write, cache):
    write("train.parquet")
    path = write("unsupervised.parquet")
    found = summary(path, cache).left_out
    assert {kind: (case.count, case.example) for kind, case in found.items()} == {
        "parquet files of no split": (1, "unsupervised.parquet")
    }


@pytest.mark.parametrize("kind", ["text", "large text", "dictionary", "numbered dictionary"])
def test_text_labels_are_classes_by_their_sorted_names(write, cache, kind):
    names = ["dog", "cat", "emu"] * 10
    column = {
        "text": lambda: pa.array(names),
        "large text": lambda: pa.array(names, pa.large_string()),
        "dictionary": lambda: pa.array(names).dictionary_encode(),
        "numbered dictionary": lambda: pa.array([7, 5, 9] * 10).dictionary_encode(),
    }[kind]()
    train = load("train", cache=cache, path=write("train.parquet", labels=column))
    numbers = kind == "numbered dictionary"
    assert train.class_names == (("5", "7", "9") if numbers else ("cat", "dog", "emu"))
    written = [str(label) for label in column.to_pylist()]
    by_row = {name: written[int(name.split()[-1])] for name in train.origin.names}
    assert [train.class_names[label] for label in train.labels] == list(by_row.values())


def test_a_name_that_is_not_trained_is_named_with_its_row(write, cache):
    write("train.parquet", labels=["cat", "dog"] * 10)
    path = write("test.parquet", labels=["cat", "dog", "emu"])
    with pytest.raises(DataError, match=r"test.parquet: labels .* one of cat, dog; got 'emu' at row 2"):
        load("train", cache=cache, path=path)


def test_class_names_give_text_labels_their_order(write, cache):
    path = write("train.parquet", labels=["cat", "dog"] * 10)
    train = load("train", cache=cache, path=path, class_names=("dog", "cat"))
    assert train.class_names == ("dog", "cat")
    assert train.labels[0] == 1


@pytest.mark.parametrize(("labels", "names"), [([1, 2, 3], "123"), ([0, 2, 5], "025"), ([4, 9], "49")])
def test_labels_that_skip_numbers_make_no_class_of_these(write, cache, labels, names):
    path = write("train.parquet", labels=labels * (30 // len(labels)))
    found = summary(path, cache)
    assert list(found.classes) == list(names)
    assert found.notes == [
        f"labels from {labels[0]} to {labels[-1]}: the {len(labels)} in use are the classes"
    ]
    train = load("train", cache=cache, path=path)
    assert set(train.labels.tolist()) == set(range(len(labels)))


def test_names_in_the_file_that_no_label_uses_are_no_classes(write, cache):
    names = ["ant", "bee", "cow", "dog", "emu"]
    path = write("train.parquet", labels=[0, 2, 4] * 10, metadata=hugging_face(names))
    found = summary(path, cache)
    assert list(found.classes) == ["ant", "cow", "emu"]
    assert found.notes == ["2 of 5 class names in the file have no image and are no classes, as bee"]


def test_files_that_number_their_classes_otherwise_are_refused(write, cache):
    write("train.parquet", metadata=hugging_face(["ant", "bee", "cow"]))
    path = write("test.parquet", 6, 100, metadata=hugging_face(["ant", "cow", "bee"]))
    with pytest.raises(
        DataError, match=r"test.parquet: expected the class names .* bee, cow; got ant, cow, bee"
    ):
        load("train", cache=cache, path=path)


def test_test_labels_that_nobody_gave_are_refused_before_training(write, cache):
    write("train.parquet", metadata=hugging_face(["ant", "bee", "cow"]))
    path = write("test.parquet", 6, 100, labels=[-1] * 6)
    with pytest.raises(DataError, match=r"test.parquet: all its labels are -1, .*: move the file out"):
        load("train", cache=cache, path=path)


def test_broken_rows_are_named_at_once_and_can_be_skipped(write, cache, tmp_path, picture):
    write("train.parquet")
    images = [picture(100 + row) if row % 2 else [None, b"", b"no image"][row % 3] for row in range(30)]
    path = tmp_path / "hub"
    labels = [row // 2 % 3 for row in range(30)]
    pq.write_table(pa.table({"image": images, "label": labels}), path / "test.parquet")
    with pytest.raises(DataError, match=r"test.parquet row 0: .*; test.parquet row 2: .*15 of 60 images"):
        load("train", cache=cache, path=path)
    assert counts(summary(path, cache, broken="skip")) == dict.fromkeys("012", (9, 1, 5))
    test = load("test", cache=cache, path=path, broken="skip")
    assert test.labels.tolist() == labels[1::2]


def test_pictures_in_two_files_are_counted(write, cache):
    write("train.parquet")
    found = summary(write("test.parquet", 6, labels=[0, 1, 2, 1, 1, 2]), cache)
    assert {kind: case.count for kind, case in found.duplicates.items()} == {
        "training images that are in test, too": 6,
        "images that are in several classes": 2,
    }


def test_a_set_with_nothing_odd_says_so_in_its_first_lines_only(write, cache):
    write("train.parquet")
    lines = summary(write("test.parquet", 6, 100), cache).lines()
    assert lines == [
        lines[0],
        "  images: 8 x 8 pixels (height x width), not resized, colour",
        *(f"  class {label}: 9 train, 1 validation, 2 test" for label in "012"),
    ]
    assert np.all([word in lines[0] for word in ("3 classes", "27 train, 3 validation, 6 test")])


def test_shards_without_a_test_split_are_cut_as_one_file_is(write, cache, tmp_path):
    whole = write("one/train.parquet", 60) / "one"
    for number in (0, 1):
        write(f"two/train-{number:05}-of-00002-0123abcd.parquet", 30, 30 * number)
    for part in ("train", "test"):
        one, two = (load(part, cache=cache, path=path) for path in (whole, tmp_path / "hub" / "two"))
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.labels, two.labels)
    train = load("train", cache=cache, path=tmp_path / "hub" / "two")
    assert train.origin.names[-1].startswith("train-00001-of-00002-0123abcd.parquet row ")


def test_two_files_of_one_shard_are_refused(write, cache):
    write("train-00000-of-00001-aaaaaaaa.parquet", 20)
    path = write("train-00000-of-00001-bbbbbbbb.parquet", 30, first=100)
    with pytest.raises(
        DataError, match=r"expected each shard once; got train-.*a.parquet and train-.*b.parquet"
    ):
        load("train", cache=cache, path=path)


@pytest.mark.parametrize(
    "name",
    [
        "data/test.parquet",
        "test/more/0.parquet",
        "test.pq",
        "test-0-of-1.parquet.incomplete",
        "x/train.parquet",
    ],
)
def test_files_that_have_no_use_are_counted_wherever_they_are(write, cache, name):
    write("train.parquet")
    found = summary(write(name, first=100), cache)
    assert found.left_out["parquet files of no split"].example == name


def test_hidden_files_are_no_shards(write, cache):
    write("train/0000.parquet")
    path = write("test/0000.parquet", 6, first=100)
    (path / "train" / "._0000.parquet").write_bytes(b"a Mac's")
    assert counts(summary(path, cache)) == dict.fromkeys("012", (9, 1, 2))


@pytest.mark.parametrize("label", ["", "  ", "x" * 256])
def test_labels_that_cannot_be_the_names_of_classes_are_refused(write, cache, label):
    path = write("train.parquet", labels=["a", "b", label] * 10)
    with pytest.raises(DataError, match="expected class names"):
        load("train", cache=cache, path=path)


def test_pictures_that_are_turned_have_one_size(write, cache, tmp_path):
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (12, 10)).save(stream, "TIFF", exif=exif)
    file = write("train.parquet") / "train.parquet"
    pq.write_table(pa.table({"image": [stream.getvalue()] * 30, "label": [0, 1, 2] * 10}), file)
    assert load("train", cache=cache, path=file).images.shape[1:] == (12, 10, 3)


@pytest.mark.parametrize("name", ["validation", "test"])
def test_splits_of_another_size_are_refused_with_the_way_out(write, cache, picture, tmp_path, name):
    path = write("train.parquet")
    table = pa.table({"image": [picture(n, size=(10, 12)) for n in range(6)], "label": [0, 1, 2] * 2})
    pq.write_table(table, path / f"{name}.parquet")
    told = (
        f"hub: {name} images of 10 x 12 pixels, but training images of 8 x 8 .*set data.height and data.width"
    )
    with pytest.raises(DataError, match=told):
        load("train", cache=cache, path=path)
    assert load("train", cache=cache, path=path, height=8, width=8).images.shape[1:3] == (8, 8)
