from pathlib import Path

import keras
import numpy as np
import pytest

from runback.classifier.augmentation.alternating_flip import AlternatingFlip, begin_pass
from runback.classifier.augmentation.preview import preview_sheet
from runback.classifier.augmentation.stack import build_stack
from runback.classifier.data.dataset import Dataset
from runback.classifier.training.fit import compile_model, fit
from runback.errors import InputError

NAME = "runback.classifier.augmentation.alternating_flip.AlternatingFlip"
CROP = {"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": 1}


def images_of(n: int, shape: tuple[int, int, int] = (6, 7, 3)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype("float32")


def flips(layer: AlternatingFlip, images: np.ndarray, epoch: int) -> np.ndarray:
    """Return which images are mirrored in an epoch; fails where one is neither as it is nor mirrored."""
    if not layer.built:
        layer.build(images.shape)
    layer.number.assign(epoch)
    changed = np.asarray(layer(images, training=True))
    mirrored = (changed == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored ^ (changed == images).all(axis=(1, 2, 3))).all()
    return mirrored


def test_each_image_is_mirrored_in_every_other_epoch() -> None:
    layer, images = AlternatingFlip(seed=3), images_of(200)
    first = flips(layer, images, 0)
    for epoch in range(1, 6):
        np.testing.assert_array_equal(flips(layer, images, epoch), first ^ (epoch % 2 == 1))


def test_the_choice_is_the_images_own_wherever_it_is_in_a_batch() -> None:
    layer, images = AlternatingFlip(seed=3), images_of(64)
    order = np.random.default_rng(1).permutation(64)
    np.testing.assert_array_equal(flips(layer, images[order], 4), flips(layer, images, 4)[order])
    np.testing.assert_array_equal(flips(layer, images[:1], 4), flips(layer, images, 4)[:1])


@pytest.mark.parametrize(
    "images",
    [
        images_of(4000),
        images_of(4000) // 16 * 16,  # as digits are: no low bits
        images_of(4000) // 255 * 255,  # black, with some white
        (images_of(4000, (5, 5, 1)) > 127) * 255.0,  # black and white
    ],
    ids=["colours", "few levels", "mostly black", "two levels"],
)
def test_half_of_the_images_are_mirrored_whatever_their_pixels_are(images: np.ndarray) -> None:
    images = np.unique(images, axis=0)
    asymmetric = images[(images != images[:, :, ::-1]).any(axis=(1, 2, 3))]
    assert len(asymmetric) > 400
    share = flips(AlternatingFlip(seed=1), asymmetric, 0).mean()
    assert abs(share - 0.5) < 5 * 0.5 / len(asymmetric) ** 0.5


def test_seeds_choose_independently_of_each_other() -> None:
    images = images_of(2000)
    one, other = (flips(AlternatingFlip(seed=seed), images, 0) for seed in (1, 2))
    assert abs((one == other).mean() - 0.5) < 5 * 0.5 / 2000**0.5


def test_nothing_changes_outside_training() -> None:
    images = images_of(20)
    np.testing.assert_array_equal(AlternatingFlip()(images), images)


@pytest.mark.parametrize(
    ("steps", "passes"), [(None, [0, 1, 2]), (2, [0, 0, 1]), (1, [0, 0, 0]), (6, [1, 2, 4])]
)
def test_a_training_tells_it_the_pass(steps: int | None, passes: list[int]) -> None:
    images = images_of(90, (8, 8, 1)).astype(np.uint8)
    data = Dataset(images, np.arange(90) % 10, tuple("abcdefghij"))
    layer = build_stack([{"_target_": NAME}, CROP], (8, 8, 1), seed=1)
    network = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")]
    )
    model = compile_model(network, layer, keras.optimizers.SGD(0.001))
    seen = []
    fit(
        model,
        data,
        data,
        epochs=3,
        batch_size=25,
        steps_per_epoch=steps,
        seed=0,
        on_epoch=lambda step, metrics: seen.append(int(layer.layers[0].number.numpy())),
    )
    assert seen == passes


def test_its_pass_is_told_at_any_depth() -> None:
    layer = AlternatingFlip()
    inner = keras.Sequential([keras.Input((4, 4, 1)), layer])
    outer = keras.Sequential([keras.Input((4, 4, 1)), keras.Sequential([keras.Input((4, 4, 1)), inner])])
    begin_pass(outer, 7)
    assert int(layer.number.numpy()) == 7


def test_a_preview_shows_an_image_both_ways() -> None:
    stack = build_stack([{"_target_": NAME}], (8, 8, 1), seed=1)
    images = np.zeros((1, 8, 8, 1), np.uint8)
    images[:, :, :4] = 255
    sheet = np.asarray(preview_sheet(stack, images))
    lefts = [int(sheet[50, 112 + 10 + 100 * column, 0]) for column in range(7)]  # after the original
    assert sorted(lefts[:2]) == [0, 255]
    assert lefts == (lefts[:2] * 4)[:7]
    assert int(stack.layers[0].number.numpy()) == 0  # it worked on a copy


def test_it_must_be_the_first_layer() -> None:
    with pytest.raises(InputError) as caught:
        build_stack([CROP, {"_target_": NAME}], (8, 8, 1), seed=1)
    assert str(caught.value) == (
        "augmentation.layers.1: AlternatingFlip knows an image by its pixels: make it the first layer"
    )


def test_a_saved_one_loads_in_safe_mode(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((8, 8, 1)), AlternatingFlip(seed=5)]).save(tmp_path / "model.keras")
    (layer,) = keras.models.load_model(tmp_path / "model.keras", safe_mode=True).layers
    assert layer.seed == 5
