import keras
import numpy as np
import pytest

from runback.classifier.evaluation.inputs.occlusion import occlusion_maps
from runback.classifier.evaluation.inputs.ood_images import ood_images


@pytest.fixture(scope="module")
def corner_network():
    """A network that looks at the upper left quarter alone: bright is class 1."""
    inputs = keras.Input((8, 8, 1))
    corner = keras.layers.Cropping2D(((0, 4), (0, 4)))(inputs)
    level = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(corner))
    outputs = keras.layers.Dense(2, activation="softmax")
    network = keras.Model(inputs, outputs(level))
    outputs.set_weights([np.array([[-4.0, 4.0]]), np.array([2.0, -2.0])])
    return network


def test_the_map_shows_the_part_that_the_answer_hangs_on(corner_network):
    images = np.zeros((2, 8, 8, 1), np.uint8)
    images[:, :4, :4] = 255
    found = occlusion_maps(corner_network, images, np.array([1, 1]))
    assert found.shape == (2, 8, 8)
    assert found[0, :4, :4].min() > 0
    assert found[0, 5:, 5:] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3)], ids=str)
def test_ood_images_have_the_form_and_nothing_else(shape):
    images = np.random.default_rng(0).integers(0, 256, (50, *shape), dtype=np.uint8)
    first, second = ood_images(images), ood_images(images)
    assert set(first) == {"noise", "blank", "clouds", "shuffled pixels"}
    for name, made in first.items():
        assert made.dtype == np.uint8
        assert made.shape[1:] == shape
        assert np.array_equal(made, second[name])
    assert np.ptp(first["blank"], axis=(1, 2)).max() == 0
    shuffled = first["shuffled pixels"]
    assert np.array_equal(np.sort(shuffled.reshape(50, -1)), np.sort(images.reshape(50, -1)))
    assert not np.array_equal(shuffled, images)
