from pathlib import Path

import keras
import numpy as np
import pytest

from runback.classifier.models.resnet20 import resnet20
from runback.errors import InputError


def weighted_layers(network: keras.Model) -> int:
    """Count as the paper does: convolutions and the dense layer, without the shortcuts' projections."""
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return sum(isinstance(layer, kinds) and "shortcut" not in layer.name for layer in network.layers)


def test_it_has_the_layers_and_the_size_of_the_paper() -> None:
    network = resnet20((32, 32, 3), 10)
    assert weighted_layers(network) == 20
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 272_474
    sizes = [network.get_layer(f"stage{stage}_block3_relu").output.shape[1:] for stage in (1, 2, 3)]
    assert sizes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]


def test_more_blocks_make_it_deeper() -> None:
    assert weighted_layers(resnet20((8, 8, 1), 10, width=4, blocks=5)) == 32


def test_weight_decay_adds_the_squared_kernels_to_the_loss() -> None:
    network = resnet20((8, 8, 1), 10, width=4, blocks=1, weight_decay=0.01)
    kernels = [weight for weight in network.trainable_weights if weight.name == "kernel"]
    expected = 0.01 * sum(float(np.sum(np.square(kernel.numpy()))) for kernel in kernels)
    assert float(sum(network.losses)) == pytest.approx(expected, rel=1e-5)


def test_it_takes_raw_bytes_of_the_smallest_size() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)
    probabilities = np.asarray(resnet20((4, 4, 1), 7, width=4, blocks=1)(images))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_too_small_images_are_refused_with_the_smallest_size() -> None:
    with pytest.raises(InputError, match="resnet20 needs images of at least 4x4 pixels; got 32x2"):
        resnet20((32, 2, 3), 10)


def test_a_saved_one_loads_in_safe_mode_and_predicts_the_same(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    network = resnet20((8, 8, 3), 10, width=4, blocks=1)
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), network(images))
