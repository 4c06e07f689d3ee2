from pathlib import Path

import keras
import numpy as np
import pytest

from runback.classifier.models.deep_cnn import deep_cnn
from runback.errors import InputError
from runback.system.config.targets import build

SPEC = {"_target_": "runback.classifier.models.deep_cnn.deep_cnn"}


def test_its_layers_are_those_of_the_classic_network() -> None:
    network = deep_cnn((32, 32, 3), 10)
    shapes = {layer.name: layer.output.shape[1:] for layer in network.layers}
    assert shapes["conv_1a"] == shapes["conv_1b"] == (32, 32, 32)
    assert shapes["conv_2a"] == (16, 16, 64)
    assert shapes["conv_2b"] == (14, 14, 64)  # the one without padding
    assert shapes["flatten"] == (7 * 7 * 64,)
    assert shapes["dense"] == (512,)
    assert [layer.rate for layer in network.layers if "dropout" in layer.name] == [0.25, 0.25, 0.5]


def test_it_takes_raw_bytes_and_returns_probabilities() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    network = deep_cnn((8, 8, 1), 10)
    probabilities = np.asarray(network(images))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities, network(images.astype("float32")))


def test_the_first_layer_maps_bytes_to_0_and_1() -> None:
    rescaling = deep_cnn((8, 8, 1), 10).layers[0]
    np.testing.assert_allclose(rescaling(np.array([[0, 255]], dtype=np.uint8)), [[0, 1]])


def test_too_small_images_are_refused_with_the_smallest_size() -> None:
    with pytest.raises(InputError, match="deep_cnn needs images of at least 8x8 pixels; got 7x9"):
        deep_cnn((7, 9, 3), 10)


@pytest.mark.parametrize(
    ("knob", "value", "message"),
    [
        ("conv_dropout", 1.5, "model.conv_dropout: input should be less than 1; got 1.5"),
        ("dense_dropout", -0.1, "model.dense_dropout: input should be greater than or equal to 0; got -0.1"),
        ("dense_width", 0, "model.dense_width: input should be greater than or equal to 1; got 0"),
        ("widths", [32, 0], "model.widths.1: input should be greater than or equal to 1; got 0"),
    ],
)
def test_a_knob_out_of_range_is_refused_by_name(knob: str, value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build({**SPEC, knob: value}, where="model", input_shape=(8, 8, 1), num_classes=10)
    assert str(caught.value) == message


def test_knobs_change_the_network() -> None:
    knobs = {"conv_dropout": 0.1, "dense_dropout": 0.2, "widths": [4, 8], "dense_width": 16}
    network = build({**SPEC, **knobs}, where="model", input_shape=(8, 8, 1), num_classes=3)
    assert [layer.filters for layer in network.layers if "conv" in layer.name] == [4, 4, 8, 8]
    assert [layer.rate for layer in network.layers if "dropout" in layer.name] == [0.1, 0.1, 0.2]
    assert network.output_shape == (None, 3)


def test_a_saved_one_loads_in_safe_mode_and_predicts_the_same(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    network = deep_cnn((8, 8, 1), 10)
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), network(images))
