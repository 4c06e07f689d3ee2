import subprocess
import sys

import keras
import numpy as np
import pytest

from runback.classifier.models.deep_cnn import deep_cnn
from runback.classifier.models.pooling import pooling_layer
from runback.classifier.models.shallow_cnn import shallow_cnn


def by_hand(image):
    """Maxima over 2 by 2 at each pixel, then the binomial filter at every other one, one value at a time."""
    height, width = image.shape
    highest = np.array(
        [[image[i : i + 2, j : j + 2].max() for j in range(width - 1)] for i in range(height - 1)]
    )
    padded = np.pad(highest, 1, mode="symmetric")
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    return np.array(
        [
            [(padded[i : i + 3, j : j + 3] * kernel).sum() for j in range(0, width - 1, 2)]
            for i in range(0, height - 1, 2)
        ]
    )


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (9, 9), (2, 2), (3, 2)], ids=str)
def test_the_layer_is_maxima_and_a_blur(shape):
    images = np.random.default_rng(0).random((2, *shape, 3)).astype(np.float32)
    made = np.asarray(pooling_layer("blur", 3, "pool")(images))
    assert made.shape == (2, shape[0] // 2, shape[1] // 2, 3)
    assert made[1, ..., 2] == pytest.approx(
        by_hand(images[1, ..., 2])[: shape[0] // 2, : shape[1] // 2], abs=1e-6
    )


LOAD = """
import sys

sys.modules["runback"] = None
import keras
import numpy as np

network = keras.saving.load_model("network.keras", safe_mode=True)
np.save("loaded.npy", network.predict(np.load("images.npy"), verbose=0))
"""


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("factory", [deep_cnn, shallow_cnn])
def test_a_network_with_blur_has_the_same_weights_and_is_stored(factory, precision, tmp_path):
    keras.config.set_dtype_policy(precision)
    try:
        network, plain = factory((32, 32, 3), 4, pooling="blur"), factory((32, 32, 3), 4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert [weight.shape for weight in network.weights] == [weight.shape for weight in plain.weights]
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras", safe_mode=True)
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    assert np.array_equal(loaded.predict(images, verbose=0), network.predict(images, verbose=0))


def test_a_network_with_blur_needs_keras_alone(tmp_path):
    network = deep_cnn((32, 32, 3), 4, pooling="blur")
    network.save(tmp_path / "network.keras")
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    subprocess.run([sys.executable, "-c", LOAD], cwd=tmp_path, check=True, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "loaded.npy"), network.predict(images, verbose=0))
