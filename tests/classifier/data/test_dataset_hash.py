import hashlib
from dataclasses import replace

import numpy as np
import pytest

from runback.classifier.data import dataset_hash
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash


@pytest.fixture
def dataset():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
    return Dataset(pixels, np.arange(50) % 2, ("cat", "dög"))


def test_the_hash_is_that_of_the_documented_bytes(dataset):
    header = '{"class_names":["cat","dög"],"dtype":"uint8","format":"runback-dataset-1","shape":[50,6,5,3]}\n'
    documented = header.encode() + dataset.images.tobytes() + dataset.labels.astype("<i8").tobytes()
    assert content_hash(dataset) == hashlib.sha256(documented).hexdigest()


@pytest.mark.parametrize("row", [0, 17, 49])
def test_one_changed_pixel_changes_the_hash(dataset, row):
    changed = dataset.images.copy()
    changed[row, 5, 4, 2] ^= 1
    assert content_hash(replace(dataset, images=changed)) != content_hash(dataset)


def test_one_changed_label_changes_the_hash(dataset):
    changed = dataset.labels.copy()
    changed[49] = 0
    assert content_hash(replace(dataset, labels=changed)) != content_hash(dataset)


def test_a_changed_class_name_changes_the_hash(dataset):
    assert content_hash(replace(dataset, class_names=("cat", "dog"))) != content_hash(dataset)


def test_the_same_bytes_in_another_shape_have_another_hash(dataset):
    turned = replace(dataset, images=dataset.images.reshape(50, 5, 6, 3))
    assert content_hash(turned) != content_hash(dataset)


def test_a_memory_map_a_view_and_small_chunks_hash_alike(dataset, tmp_path, monkeypatch):
    expected = content_hash(dataset)
    np.save(tmp_path / "images.npy", dataset.images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    turned = np.asfortranarray(dataset.images)
    monkeypatch.setattr(dataset_hash, "CHUNK_BYTES", 200)
    assert [content_hash(replace(dataset, images=images)) for images in (mapped, turned)] == [expected] * 2
