from pathlib import Path

import keras
import numpy as np
import pytest

from runback.classifier.models.shallow_cnn import shallow_cnn
from runback.errors import InputError


def test_it_has_two_padded_convolutions_and_a_dense_layer() -> None:
    network = shallow_cnn((32, 32, 3), 10)
    shapes = {layer.name: layer.output.shape[1:] for layer in network.layers}
    assert shapes["conv_1"] == (32, 32, 32)
    assert shapes["conv_2"] == (16, 16, 64)
    assert shapes["flatten"] == (8 * 8 * 64,)
    assert [layer.kernel_size for layer in network.layers if "conv" in layer.name] == [(3, 3), (3, 3)]
    assert [layer.strides for layer in network.layers if "conv" in layer.name] == [(1, 1), (1, 1)]


def test_it_takes_raw_bytes_and_returns_probabilities() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)
    probabilities = np.asarray(shallow_cnn((4, 4, 1), 7)(images))
    assert probabilities.shape == (5, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_too_small_images_are_refused_with_the_smallest_size() -> None:
    with pytest.raises(InputError, match="shallow_cnn needs images of at least 4x4 pixels; got 3x3"):
        shallow_cnn((3, 3, 3), 10)


def test_a_saved_one_loads_in_safe_mode_and_predicts_the_same(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    network = shallow_cnn((8, 8, 3), 10)
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), network(images))
