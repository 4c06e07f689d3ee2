import os
import shutil

import numpy as np
import pytest
from PIL import Image

from runback.classifier.data.folder import load
from runback.errors import DataError, InputError
from runback.system.config.targets import build


@pytest.fixture
def animals(tmp_path, encoded):
    """Ten red cats and ten blue dogs, of different sizes; image i has i in its green channel."""
    root = tmp_path / "animals"
    for name, colour in {"cat": (255, 0, 0), "dog": (0, 0, 255)}.items():
        (root / name).mkdir(parents=True)
        for i in range(10):
            content = encoded((colour[0], i, colour[2]), size=(10 + i, 20))
            (root / name / f"{i}.png").write_bytes(content)
    return root


def greens(dataset):
    return sorted(dataset.images[:, 0, 0, 1].tolist())


def test_sub_folders_are_classes_in_the_order_of_their_names(animals, cache):
    train = load("train", cache=cache, path=animals)
    assert train.class_names == ("cat", "dog")
    assert train.images.shape == (16, 32, 32, 3)
    np.testing.assert_array_equal(train.images[:, 0, 0, 0], np.where(train.labels == 0, 255, 0))


def test_without_a_test_folder_a_fifth_of_each_class_is_for_testing(animals, cache):
    train, test = (load(split, cache=cache, path=animals) for split in ("train", "test"))
    assert np.bincount(test.labels).tolist() == [2, 2]
    assert sorted(greens(train) + greens(test)) == sorted([*range(10)] * 2)


def test_test_images_are_checked_before_training_and_none_is_kept(animals, cache):
    whole = load("test", cache=cache, path=animals)
    green_and_class = zip(whole.images[:, 0, 0, 1], whole.labels, strict=True)
    for green, label in green_and_class:
        (animals / whole.class_names[label] / f"{green}.png").write_bytes(b"not to be read")
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"expected an image; this is none, .* images cannot be used"):
            load(split, cache=cache, path=animals)
    assert not list(cache.glob("folder-test-check-*/images.npy"))
    assert len(load("train", cache=cache, path=animals, broken="skip")) == 16


def test_train_and_test_folders_are_taken_as_they_are(animals, cache, tmp_path):
    shutil.copytree(animals, tmp_path / "both" / "train")
    for name in ("cat", "dog"):
        (tmp_path / "both" / "test" / name).mkdir(parents=True)
        shutil.copy(animals / name / "3.png", tmp_path / "both" / "test" / name)
    assert len(load("train", cache=cache, path=tmp_path / "both")) == 20
    assert greens(load("test", cache=cache, path=tmp_path / "both")) == [3, 3]


def test_a_lone_train_folder_is_cut_like_its_content(animals, cache, tmp_path):
    shutil.copytree(animals, tmp_path / "lone" / "train")
    splits = [load("test", cache=cache, path=path) for path in (animals, tmp_path / "lone")]
    assert greens(splits[0]) == greens(splits[1])


def test_a_test_class_that_was_never_trained_is_named(animals, cache, tmp_path):
    for split in ("train", "test"):
        shutil.copytree(animals, tmp_path / "both" / split)
    (tmp_path / "both" / "test" / "emu").mkdir()
    with pytest.raises(DataError, match="test/emu: expected one of the training classes cat, dog"):
        load("test", cache=cache, path=tmp_path / "both")


def test_images_may_lie_deeper_and_hidden_and_other_files_are_skipped(animals, cache, encoded):
    (animals / "cat" / "deep" / "er").mkdir(parents=True)
    (animals / "cat" / "deep" / "er" / "photo.JPEG").write_bytes(encoded((255, 99, 0), kind="JPEG"))
    (animals / "cat" / "Thumbs.db").write_bytes(b"none")
    (animals / "cat" / "._1.png").write_bytes(b"none")
    (animals / "cat" / ".checkpoints").mkdir()
    (animals / "cat" / ".checkpoints" / "1.png").write_bytes(b"none")
    (animals / ".git").mkdir()
    assert sum(len(load(split, cache=cache, path=animals)) for split in ("train", "test")) == 21


def test_the_knobs_set_size_and_channels(animals, cache):
    images = load("train", cache=cache, path=animals, height=5, width=9, channels=1).images
    assert images.shape == (16, 5, 9, 1)


def test_a_changed_file_is_decoded_again(animals, cache, encoded):
    before = greens(load("train", cache=cache, path=animals))
    for file in animals.rglob("*.png"):
        file.write_bytes(encoded((0, 50, 0)))
    assert greens(load("train", cache=cache, path=animals)) == [50] * 16 != before


def test_a_second_load_reads_no_image(animals, cache, monkeypatch):
    first = load("train", cache=cache, path=animals)
    monkeypatch.setattr("PIL.Image.open", None)
    np.testing.assert_array_equal(load("train", cache=cache, path=animals).images, first.images)


@pytest.fixture
def squares(tmp_path):
    """Ten images of one size and time, five of each class."""
    root = tmp_path / "squares"
    for number, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for place in range(5):
            write_square(root / name / f"{place}.bmp", 100 * number + place)
    return root


def write_square(file, red):
    Image.new("RGB", (8, 8), (red, 0, 0)).save(file)
    os.utime(file, ns=(10**18, 10**18))


def reds(root, cache):
    dataset = load("train", cache=cache, path=root)
    return [set(dataset.images[dataset.labels == label, 0, 0, 0].tolist()) for label in (0, 1)]


def test_what_is_changed_with_its_time_and_size_kept_is_read_again(squares, cache):
    assert max(reds(squares, cache)[0]) < 5
    for place in range(5):
        write_square(squares / "cat" / f"{place}.bmp", 50 + place)
    assert min(reds(squares, cache)[0]) >= 50


def test_files_of_one_size_and_time_that_change_places_are_read_again(squares, cache):
    assert [min(one) >= 100 for one in reds(squares, cache)] == [False, True]
    for place in range(5):
        cat, dog, other = (squares / name for name in (f"cat/{place}.bmp", f"dog/{place}.bmp", "other"))
        cat.rename(other)
        dog.rename(cat)
        other.rename(dog)
    assert [min(one) >= 100 for one in reds(squares, cache)] == [True, False]


def test_a_link_that_leads_to_another_file_is_read_again(squares, cache):
    other = squares.parent / "other.bmp"
    write_square(other, 77)
    for place in range(5):
        (squares / "cat" / f"{place}.bmp").unlink()
        (squares / "cat" / f"{place}.bmp").symlink_to(squares / "dog" / f"{place}.bmp")
    assert min(reds(squares, cache)[0]) >= 100
    for place in range(5):
        link = squares / "cat" / f"{place}.bmp"
        link.unlink()
        link.symlink_to(other)
    assert reds(squares, cache)[0] == {77}


def test_a_corrupt_image_is_named_in_one_line(animals, cache):
    for file in (animals / "dog").iterdir():
        file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataError, match=rf"^{animals}/dog/\d.png: cannot be decoded: .*$"):
        load("train", cache=cache, path=animals)


def test_a_broken_link_is_named(animals, cache):
    (animals / "cat" / "lost.png").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"lost.png: cannot be read: No such file or directory"):
        [load(split, cache=cache, path=animals) for split in ("train", "test")]


def test_one_class_only_is_refused(animals, cache):
    shutil.rmtree(animals / "dog")
    with pytest.raises(DataError, match="at least two classes; got 1 in"):
        load("train", cache=cache, path=animals)


def test_a_folder_without_classes_is_refused(tmp_path, cache, encoded):
    (tmp_path / "loose.png").write_bytes(encoded((0, 0, 0)))
    with pytest.raises(DataError, match="expected a folder with one sub-folder of images per class"):
        load("train", cache=cache, path=tmp_path)


def test_a_class_without_images_is_named(animals, cache):
    (animals / "emu").mkdir()
    with pytest.raises(DataError, match=r"animals/emu: expected images; got none"):
        load("train", cache=cache, path=animals)


@pytest.mark.parametrize(
    ("path", "got"), [(None, "got null"), ("/no/such/folder", "/no/such/folder, which is no")]
)
def test_a_missing_path_says_what_was_expected(cache, path, got):
    spec = {"_target_": "runback.classifier.data.folder.load", "path": path}
    with pytest.raises(DataError, match=f"^data.path: expected a folder with one sub-folder .*{got}"):
        build(spec, where="data", split="train", cache=cache)


@pytest.mark.parametrize("fraction", [0, 1.5])
def test_a_test_fraction_out_of_range_is_named(animals, cache, fraction):
    with pytest.raises(InputError, match=rf"data.test_fraction must lie in \(0, 1\) .*; got {fraction}"):
        load("train", cache=cache, path=animals, test_fraction=fraction)


def test_a_class_folder_whose_name_is_no_text_is_refused(animals, cache):
    (animals / "cat").rename(animals / "\udcff")  # the byte 0xff
    with pytest.raises(DataError, match=r"expected class names in UTF-8; got '\\udcff'"):
        load("train", cache=cache, path=animals)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_among_the_images_is_refused_at_once(animals, cache, tmp_path, linked):
    pipe = tmp_path / "pipe" if linked else animals / "cat" / "pipe.png"
    os.mkfifo(pipe)
    if linked:
        (animals / "cat" / "pipe.png").symlink_to(pipe)
    for name in ("train", "test"):
        (animals / name).mkdir()
    for name in ("cat", "dog"):
        shutil.copytree(animals / name, animals / "test" / name, symlinks=True, copy_function=os.link)
        (animals / name).rename(animals / "train" / name)
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"pipe\.png: expected an ordinary file"):
            load(split, cache=cache, path=animals)


def test_an_absurd_size_is_refused(animals, cache):
    spec = {"_target_": "runback.classifier.data.folder.load", "path": str(animals), "height": 15_000}
    with pytest.raises(InputError, match=r"data\.height: input should be less than or equal to 4096"):
        build(spec, where="data", split="train", cache=cache)
