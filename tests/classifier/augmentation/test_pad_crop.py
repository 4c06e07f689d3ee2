from pathlib import Path

import keras
import numpy as np
import pytest

from runback.classifier.augmentation.pad_crop import PadCrop
from runback.errors import InputError
from runback.system.config.targets import build


def every_crop(image: np.ndarray, pad: int) -> dict[tuple[int, int], np.ndarray]:
    """Return what padding and cropping can make of an image (height, width, channels), by its corner."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    span = range(2 * pad + 1)
    return {(y, x): padded[y : y + height, x : x + width] for y in span for x in span}


def corners(images: np.ndarray, outputs: np.ndarray, pad: int) -> list[tuple[int, int]]:
    """Return from which corner each output was cropped; fails where it is no crop of its image."""
    found = []
    for image, output in zip(images, outputs, strict=True):
        matching = [corner for corner, crop in every_crop(image, pad).items() if np.array_equal(crop, output)]
        assert len(matching) == 1
        found += matching
    return found


@pytest.mark.parametrize("shape", [(8, 8, 1), (6, 9, 3)])
def test_each_image_is_cropped_from_its_padded_self_at_a_place_of_its_own(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(1, 256, (400, *shape)).astype("float32")
    places = corners(images, np.asarray(PadCrop(2, seed=3)(images, training=True)), pad=2)
    assert set(places) == {(y, x) for y in range(5) for x in range(5)}


def test_each_call_draws_anew_and_the_seed_repeats_the_sequence() -> None:
    images = np.random.default_rng(0).integers(1, 256, (20, 8, 8, 1)).astype("float32")
    layer, same, other = PadCrop(seed=3), PadCrop(seed=3), PadCrop(seed=4)
    first, second = (np.asarray(layer(images, training=True)) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(same(images, training=True), first)
    np.testing.assert_array_equal(same(images, training=True), second)
    assert not np.array_equal(other(images, training=True), first)


def test_nothing_changes_outside_training_or_without_a_pad() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(PadCrop(4)(images), images)
    np.testing.assert_array_equal(PadCrop(0)(images, training=True), images)


def test_its_random_state_is_a_variable_that_can_be_saved_and_put_back() -> None:
    images = np.random.default_rng(0).integers(1, 256, (20, 8, 8, 1)).astype("float32")
    layer = PadCrop(seed=3)
    (state,) = layer.variables
    before = state.numpy()
    first = np.asarray(layer(images, training=True))
    assert not np.array_equal(state.numpy(), before)
    state.assign(before)
    np.testing.assert_array_equal(layer(images, training=True), first)


@pytest.mark.parametrize("pad", [-1, 1.5, "two", True])
def test_a_pad_that_is_no_number_of_pixels_is_refused(pad: object) -> None:
    with pytest.raises(InputError, match="pad must be a whole number of pixels, 0 or more; got"):
        build(
            {"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": pad},
            where="augmentation.layers.0",
        )


def test_a_saved_one_loads_in_safe_mode(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((8, 8, 1)), PadCrop(3, seed=5)]).save(tmp_path / "model.keras")
    (layer,) = keras.models.load_model(tmp_path / "model.keras", safe_mode=True).layers
    assert (layer.pad, layer.seed) == (3, 5)
