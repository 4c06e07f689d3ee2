import os

import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.stored_images import StoredImages, blocks, sample, unmapped
from runback.errors import DataError

N = 23


@pytest.fixture
def plain():
    return np.random.default_rng(0).integers(0, 256, (N, 5, 4, 3), np.uint8)


@pytest.fixture
def file(plain, tmp_path):
    np.save(tmp_path / "images.npy", plain)
    return tmp_path / "images.npy"


def stored(file, mode="r"):
    images = unmapped(np.load(file, mmap_mode=mode))
    assert isinstance(images, StoredImages)
    return images


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(3, 9),
        slice(None, None, -2),
        slice(40, 50),
        np.array([7, 8, 9, 2, 2, 22, 0]),
        np.array([-1, 4]),
        np.array([], np.int64),
        np.arange(N) % 2 == 0,
        5,
        -1,
        np.int32(3),
    ],
    ids=str,
)
def test_they_are_indexed_as_an_array_is(plain, file, key):
    found = stored(file)[key]
    np.testing.assert_array_equal(found, plain[key])
    assert found.dtype == np.uint8


def test_they_have_an_arrays_properties(plain, file):
    images = stored(file)
    assert (images.shape, images.dtype, images.ndim) == (plain.shape, plain.dtype, plain.ndim)
    assert (len(images), images.nbytes) == (N, plain.nbytes)
    np.testing.assert_array_equal(np.asarray(images), plain)
    np.testing.assert_array_equal(list(images), plain)


@pytest.mark.parametrize("position", [N, -N - 1])
def test_an_image_beyond_the_last_is_none(file, position):
    with pytest.raises(IndexError):
        stored(file)[position]


def test_some_of_some_are_still_in_the_file(plain, file):
    some = stored(file).take(np.array([9, 1, 17, 18])).take(slice(1, None))
    assert isinstance(some, StoredImages)
    np.testing.assert_array_equal(some[:], plain[[1, 17, 18]])


@pytest.mark.parametrize("part", [slice(4, 20), slice(0, 1), slice(22, 23)], ids=str)
def test_a_part_of_a_map_is_the_same_part_of_the_file(plain, file, part):
    np.testing.assert_array_equal(unmapped(np.load(file, mmap_mode="r")[part])[:], plain[part])


def test_a_map_that_begins_deep_in_a_file_is_found_there(plain, tmp_path):
    (tmp_path / "raw").write_bytes(b"x" * 70_001 + plain.tobytes())
    images = unmapped(np.memmap(tmp_path / "raw", np.uint8, "r", 70_001, plain.shape))
    assert isinstance(images, StoredImages)
    np.testing.assert_array_equal(images[:], plain)


def test_what_a_map_has_that_its_file_has_not_is_kept(plain, file):
    own = np.load(file, mmap_mode="c")
    own[3] = 255
    assert unmapped(own) is own
    assert (
        Dataset(own, np.arange(N), tuple(map(str, range(N)))).take(np.array([3, 1])).images[0] == 255
    ).all()


@pytest.mark.parametrize("change", [lambda one: one[::2], lambda one: one[..., :1], np.array, np.asarray])
def test_what_is_not_the_file_in_its_order_stays_as_it_is(file, change):
    images = change(np.load(file, mmap_mode="r"))
    assert unmapped(images) is images


def test_a_map_of_a_file_that_is_gone_stays_as_it_is(plain, file):
    images = np.load(file, mmap_mode="r")
    file.unlink()
    assert unmapped(images) is images
    np.testing.assert_array_equal(images, plain)


def test_images_that_are_open_outlive_their_files_name(plain, file):
    images = stored(file)
    file.unlink()
    np.testing.assert_array_equal(images[[20, 3]], plain[[20, 3]])


def test_a_file_that_is_cut_short_is_named(file):
    images = stored(file)
    os.truncate(file, file.stat().st_size - 10)
    with pytest.raises(DataError, match=r"images\.npy: expected an image at byte .*; the file ends before"):
        images[:]
    assert images[:3].shape == (3, 5, 4, 3)


@pytest.mark.parametrize("size", [1, 61, 200, 10**6])
def test_blocks_are_all_images_in_order(plain, file, size):
    for images in (plain, np.load(file, mmap_mode="r"), stored(file)):
        found = list(blocks(images, size))
        assert all(len(block) == 1 or block.nbytes <= size for block in found)
        np.testing.assert_array_equal(np.concatenate(found), plain)


def test_a_set_in_memory_mapped_and_drawn_from_a_file_hash_alike(plain, file):
    rows, names = np.array([1, 2, 3, 9, 12, 13]), tuple("abcdef")
    labels = np.arange(N) % 6
    taken = [
        Dataset(images, labels, names).take(rows)
        for images in (plain, np.load(file, mmap_mode="r"), stored(file))
    ]
    assert len({content_hash(one) for one in taken}) == 1
    assert [type(one.images) for one in taken] == [np.ndarray, StoredImages, StoredImages]


@pytest.mark.parametrize(("size", "step"), [(N * 60, 1), (N * 60 - 1, 2), (N * 20, 3), (1, N * 60)])
@pytest.mark.parametrize("kind", ["in memory", "mapped", "drawn from a file"])
def test_a_sample_is_an_array_of_every_kth_image(file, plain, kind, size, step):
    images = {"in memory": plain, "mapped": np.load(file, mmap_mode="r"), "drawn from a file": stored(file)}[
        kind
    ]
    found, every = sample(images, size)
    assert (type(found), every) == (np.ndarray, step)
    np.testing.assert_array_equal(found, plain[::step])


def test_an_error_of_the_disk_names_the_file(file, monkeypatch):
    images = stored(file)

    def fail(*_):
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(DataError, match=r"images\.npy: cannot be read: Input/output error"):
        images[3]
