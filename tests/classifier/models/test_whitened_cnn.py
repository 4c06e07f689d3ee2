import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from runback.classifier.models.whitened_cnn import whitened_cnn
from runback.classifier.models.whitening import whitening
from runback.errors import InputError


def images_of(shape: tuple[int, int, int], n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def small(shape: tuple[int, int, int], num_classes: int = 10) -> keras.Model:
    return whitened_cnn(shape, num_classes, images=images_of(shape), widths=(4, 5, 6))


def test_its_first_layer_whitens_and_stays_as_it_is() -> None:
    images = images_of((8, 8, 3))
    network = small((8, 8, 3))
    kernel, bias = whitening(images, 2)
    layer = network.get_layer("whitening")
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_array_equal(layer.bias, bias)
    network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    network.fit(images, np.arange(40) % 10, verbose=0)
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_array_equal(layer.bias, bias)


def test_it_has_the_stages_of_its_widths() -> None:
    network = whitened_cnn((32, 32, 3), 10, images=images_of((32, 32, 3)), widths=(8, 16, 24))
    sizes = [network.get_layer(f"stage{stage}_b_relu").output.shape[1:] for stage in (1, 2, 3)]
    assert sizes == [(16, 16, 8), (8, 8, 16), (4, 4, 24)]


def test_as_it_begins_no_class_is_likely() -> None:
    network = whitened_cnn((16, 16, 3), 10, images=images_of((16, 16, 3)))
    assert np.asarray(network(images_of((16, 16, 3)))).max() < 0.5


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 13, 3), (33, 8, 4)])
def test_it_takes_raw_bytes_of_any_shape(shape: tuple[int, int, int]) -> None:
    probabilities = np.asarray(small(shape, 7)(images_of(shape)))
    assert probabilities.shape == (40, 7)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_pixels_are_whitened_in_float32_whatever_the_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        network = small((8, 8, 3))
    finally:
        keras.config.set_dtype_policy("float32")
    assert network.get_layer("whitening").compute_dtype == "float32"
    assert network.get_layer("stage1_a").compute_dtype == policy.removeprefix("mixed_")
    assert network.output.dtype == "float32"


def test_too_small_images_are_refused_with_the_smallest_size() -> None:
    with pytest.raises(InputError, match="whitened_cnn needs images of at least 8x8 pixels; got 7x9"):
        small((7, 9, 3))


def test_a_saved_one_has_layers_of_keras_alone_and_predicts_the_same(tmp_path: Path) -> None:
    images, network = images_of((8, 8, 3)), small((8, 8, 3))
    network.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        layers = json.loads(file.read("config.json"))["config"]["layers"]
    assert {layer["module"] for layer in layers} == {"keras.layers"}
    assert {layer["registered_name"] for layer in layers} == {None}
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), network(images))
