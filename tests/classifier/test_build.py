from functools import partial
from pathlib import Path

import numpy as np
import pytest

from runback.classifier import build
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading import stored_images
from runback.classifier.data.reading.stored_images import StoredImages

WHITENED = {"_target_": "runback.classifier.models.whitened_cnn.whitened_cnn", "widths": [4, 5, 6]}


@pytest.fixture
def in_memory() -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    return Dataset(images, np.arange(40) % 4, ("a", "b", "c", "d"))


@pytest.fixture
def drawn(in_memory: Dataset, tmp_path: Path) -> Dataset:
    """Return the same images, drawn from a file."""
    order = np.random.default_rng(1).permutation(40)
    np.save(tmp_path / "images.npy", in_memory.images[order])
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    dataset = Dataset(mapped, in_memory.labels[order], in_memory.class_names).take(np.argsort(order))
    assert isinstance(dataset.images, StoredImages)
    return dataset


def test_a_network_adapts_to_images_that_lie_in_a_file_as_to_those_in_memory(in_memory, drawn) -> None:
    kernels = []
    for train in (in_memory, drawn):
        network, _, notes = build._network(WHITENED, train, ())
        assert notes == []
        kernels.append(np.asarray(network.get_layer("whitening").kernel))
    np.testing.assert_array_equal(*kernels)


def test_of_very_many_images_a_network_gets_a_part_and_that_is_said(drawn, monkeypatch) -> None:
    few = partial(stored_images.sample, size=15 * 8 * 8 * 3)
    monkeypatch.setattr(stored_images, "sample", few)
    _, _, notes = build._network(WHITENED, drawn, ())
    assert notes == ["model.images: 14, one of 3 to train on"]
