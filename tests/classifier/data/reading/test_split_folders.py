import numpy as np
import pytest

from runback.classifier.data.folder import load
from runback.classifier.data.reading.data_summary import DataSummary
from runback.classifier.data.split import split
from runback.errors import DataError

KNOBS = {"limit": None, "validation_fraction": 0.1, "validation_split": "stratified", "validation_seed": 0}


@pytest.fixture
def divided(tmp_path, fill):
    """Make a folder with these splits of cats and dogs; each is given its number of pictures a class."""

    def make(**splits):
        for place, (name, n) in enumerate(splits.items()):
            fill(tmp_path / "pets" / name / "cat", n, first=1000 * place)
            fill(tmp_path / "pets" / name / "dog", n, first=1000 * place + 500)
        return tmp_path / "pets"

    return make


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "valid", "TEST"),
        ("train", "dev", "testing"),
    ],
)
def test_the_usual_names_are_splits(divided, cache, train, validation, test):
    path = divided(**{train: 6, validation: 3, test: 2})
    whole = load("train", cache=cache, path=path)
    parts = split(whole, **KNOBS)
    assert whole.class_names == ("cat", "dog")
    assert [len(part) for part in parts] == [12, 6]
    assert len(load("test", cache=cache, path=path)) == 4
    summary = DataSummary.of(*parts, "folder")
    assert (summary.classes["cat"].validation, summary.classes["dog"].test) == (3, 2)
    assert any("the validation split is the source's own" in note for note in summary.notes)


def test_train_and_val_alone_are_splits_and_the_test_split_is_cut_off_train(divided, cache):
    path = divided(train=10, val=3)
    parts = split(load("train", cache=cache, path=path), **KNOBS)
    assert [len(part) for part in parts] == [16, 6]
    assert len(load("test", cache=cache, path=path)) == 4


def test_splits_in_each_class_are_found_too(tmp_path, fill, cache):
    for place, name in enumerate(("cat", "dog")):
        for number, part in enumerate(("train", "val", "test")):
            fill(tmp_path / "pets" / name / part, 5 - number, first=1000 * place + 100 * number)
    parts = split(load("train", cache=cache, path=tmp_path / "pets"), **KNOBS)
    assert [len(part) for part in parts] == [10, 8]
    assert len(load("test", cache=cache, path=tmp_path / "pets")) == 6


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (("train/cat", "train/dog", "birds"), "splits and others in .*: train beside birds"),
        (("cat", "dog", "test"), "splits and others in .*: test beside cat, dog"),
        (("train/cat", "train/dog", "val/cat", "dev/cat"), "expected one validation split in .*; got .* and"),
        (("val/cat", "val/dog", "test/cat"), "expected a split to train on in .*; got test, val only"),
        (("training_set/cat", "test_set/cat"), "test_set, training_set in .* look like splits, not classes"),
        (("train2017/cat", "val2017/cat"), "train2017, val2017 in .* look like splits, not classes"),
        (("cat/train", "cat/val", "dog"), "each class in .* to hold the same splits; cat has some, dog has"),
        (("cat/train", "cat/extra", "dog/train"), "splits and others in .*cat: train beside extra"),
        (("seg_train/cat", "seg_test/cat", "seg_pred"), "seg_test, seg_train in .* look like splits"),
        (("01_train/cat", "02_test/cat"), "01_train, 02_test in .* look like splits, not classes"),
        (("my train/cat", "my test/cat"), "my test, my train in .* look like splits, not classes"),
        (("images.train/cat", "images.val/cat"), "images.train, images.val in .* look like splits"),
        (("asl_alphabet_train/a", "asl_alphabet_test/a"), "asl_alphabet_.* look like splits, not classes"),
        (("TrainSet/cat", "TestSet/cat"), "TestSet, TrainSet in .* look like splits, not classes"),
        (("fold0/cat", "fold1/cat", "fold2/cat"), "fold0, fold1, fold2 in .* look like splits"),
        (("train/cat", "train/dog", "test"), "test: expected a folder for each class; got none and 3 files"),
        (("train/cat", "train/dog", "val"), "val: expected a folder for each class; got none and 3 files"),
        (("images", "annotations/trimaps"), "annotations, images in .* look like parts of each example"),
        (("train/images", "train/labels", "val/images"), "images, labels in .*train look like parts of each"),
        (("pets/cat", "pets/dog"), "at least two classes; got 1 in .*; are the classes in .*pets/pets\\?"),
        (
            ("pets/train/cat", "pets/train/dog"),
            "got 1 in .*; are the classes in .*pets/pets\\? set data.path",
        ),
    ],
)
def test_what_is_mixed_or_only_looks_like_splits_is_refused(tmp_path, fill, cache, folders, told):
    for place, folder in enumerate(folders):
        fill(tmp_path / "pets" / folder, 3, first=10 * place)
    with pytest.raises(DataError, match=told):
        load("train", cache=cache, path=tmp_path / "pets")


def test_classes_that_only_look_like_one_split_stay_classes(tmp_path, fill, cache):
    for place, name in enumerate(("test1", "test2")):
        fill(tmp_path / "tubes" / name, first=100 * place)
    assert load("train", cache=cache, path=tmp_path / "tubes").class_names == ("test1", "test2")


def test_a_class_that_is_not_trained_is_named(divided, fill, cache):
    path = divided(train=5, val=2)
    fill(path / "val" / "emu", 2, first=9000)
    with pytest.raises(DataError, match=r"val/emu: expected one of the training classes cat, dog"):
        load("train", cache=cache, path=path)


def test_a_class_that_a_split_lacks_is_refused_with_the_numbers(divided, fill, cache):
    path = divided(train=6, val=3)
    fill(path / "train" / "emu", 6, first=9000)
    with pytest.raises(DataError, match=r"emu: 5 train, 0 validation, 1 test: add images to it, or take"):
        split(load("train", cache=cache, path=path), **KNOBS)


def test_the_tail_of_sorted_files_is_refused_with_the_way_out(pets, cache):
    with pytest.raises(
        DataError,
        match=r"cat: 8 train, 0 validation, 2 test: data.validation_split=stratified draws from every class",
    ):
        split(load("train", cache=cache, path=pets), **{**KNOBS, "validation_split": "tail"})


def test_a_rare_class_is_in_every_split_if_it_can_be(pets, fill, cache):
    fill(pets / "emu", 4, first=9000)
    whole = load("train", cache=cache, path=pets)
    train, validation = split(whole, **{**KNOBS, "validation_fraction": 0.15})
    assert [np.bincount(part.labels).tolist() for part in (train, validation)] == [[7, 7, 2], [1, 1, 1]]
    notes = DataSummary.of(train, validation, "folder").notes
    assert notes == ["classes of one or two training images: emu (2)"]
    with pytest.raises(DataError, match=r"emu: 3 train, 0 validation, 1 test: raise data.valid"):
        split(whole, **KNOBS)


@pytest.mark.parametrize("n", [1, 2])
def test_a_class_of_one_or_two_images_is_named(pets, fill, cache, n):
    fill(pets / "emu", n, first=9000)
    with pytest.raises(DataError, match=rf"emu: 1 train, 0 validation, {n - 1} test"):
        split(load("train", cache=cache, path=pets), **KNOBS)


def test_names_that_differ_in_case_or_blanks_only_are_said(pets, fill, cache):
    fill(pets / "Cat", first=700)
    notes = DataSummary.of(*split(load("train", cache=cache, path=pets), **KNOBS), "folder").notes
    assert notes == ["two classes differ in case, blanks or the encoding of letters only: 'Cat' and 'cat'"]


@pytest.mark.parametrize("names", [("bullet_train", "test_tube"), ("trainer", "tester"), ("fold", "crease")])
def test_classes_with_the_words_of_splits_stay_classes(tmp_path, fill, cache, names):
    for place, name in enumerate(names):
        fill(tmp_path / "things" / name, first=100 * place)
    assert load("train", cache=cache, path=tmp_path / "things").class_names == tuple(sorted(names))


def test_the_same_letters_in_another_encoding_are_the_same_class(tmp_path, fill, cache):
    composed, decomposed = "K\u00e4se", "Ka\u0308se"
    for place, name in enumerate((f"train/{composed}", "train/Brot", f"test/{decomposed}", "test/Brot")):
        fill(tmp_path / "food" / name, first=100 * place)
    assert load("test", cache=cache, path=tmp_path / "food").class_names == ("Brot", composed)


def test_two_classes_of_the_same_letters_are_said(pets, fill, cache):
    for place, name in enumerate(("K\u00e4se", "Ka\u0308se")):
        fill(pets / name, first=700 + 100 * place)
    notes = DataSummary.of(*split(load("train", cache=cache, path=pets), **KNOBS), "folder").notes
    assert len(notes) == 1
    assert "the encoding of letters only" in notes[0]
    assert r"('Ka\u0308se' and 'K\xe4se')" in notes[0]
