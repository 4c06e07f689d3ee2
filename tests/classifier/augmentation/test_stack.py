from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

from runback.classifier.augmentation.stack import build_stack
from runback.errors import InputError

FOLDER = Path(__file__).parents[3] / "conf" / "augmentation"
FLIP = {"_target_": "keras.layers.RandomFlip", "mode": "horizontal"}
SHIFT = {"_target_": "keras.layers.RandomTranslation", "height_factor": 0.2, "width_factor": 0.2}


@pytest.fixture
def bfloat16() -> Iterator[None]:
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def layers_of(name: str) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())["layers"]
    return layers


def images_of(shape: tuple[int, int, int], n: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype("float32")


@pytest.mark.parametrize("shape", [(8, 8, 1), (32, 32, 3)], ids=str)
@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.yaml") if file.stem != "none"))
def test_every_augmentation_in_conf_changes_images_in_training_only(
    name: str, shape: tuple[int, int, int]
) -> None:
    images = images_of(shape)
    stack = build_stack(layers_of(name), shape, seed=1)
    changed = np.asarray(stack(images, training=True))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert np.mean(np.any(changed != images, axis=(1, 2, 3))) > 0.25
    np.testing.assert_array_equal(stack(images, training=False), images)


def test_no_layers_make_no_stack() -> None:
    assert build_stack(layers_of("none"), (8, 8, 1), seed=1) is None


def test_the_same_seed_gives_the_same_images_and_another_seed_others() -> None:
    images = images_of((32, 32, 3))
    same = [build_stack(layers_of("notebook"), (32, 32, 3), seed=1)(images, training=True) for _ in range(2)]
    other = build_stack(layers_of("notebook"), (32, 32, 3), seed=2)(images, training=True)
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], other)


def test_what_was_drawn_outside_does_not_move_the_seeds() -> None:
    def draw() -> np.ndarray:
        return np.asarray(build_stack([FLIP], (8, 8, 1), seed=1)(images_of((8, 8, 1)), training=True))

    first = draw()
    keras.utils.set_random_seed(99)
    np.testing.assert_array_equal(draw(), first)


def test_two_equal_layers_draw_different_numbers_unless_told_otherwise() -> None:
    derived = build_stack([SHIFT, SHIFT], (8, 8, 1), seed=1)
    assert derived.layers[0].seed != derived.layers[1].seed
    given = build_stack([{**SHIFT, "seed": 5}, {**SHIFT, "seed": None}], (8, 8, 1), seed=1)
    assert given.layers[0].seed == 5
    assert given.layers[1].seed == derived.layers[1].seed


@pytest.mark.usefixtures("bfloat16")
def test_under_mixed_precision_images_stay_exact_and_repeatable_in_the_graph() -> None:
    images = images_of((8, 8, 1), n=4) + 0.25  # bfloat16 has 8 bits and would round this away
    outputs = []
    for _ in range(2):
        image = keras.Input((8, 8, 1))
        stack = build_stack(
            [FLIP, {"_target_": "runback.classifier.augmentation.pad_crop.PadCrop"}], (8, 8, 1), seed=1
        )
        dense = keras.layers.Flatten(dtype="float32")(stack(image))
        outputs.append(np.asarray(keras.Model(image, dense)(images, training=True)))
    np.testing.assert_array_equal(*outputs)
    assert outputs[0].dtype == np.float32
    assert set(np.unique(outputs[0] % 1)) == {0, 0.25}  # the zeros are padding


def test_layers_without_a_seed_are_left_alone() -> None:
    stack = build_stack([{"_target_": "keras.layers.GaussianNoise", "stddev": 1.0}], (8, 8, 1), seed=1)
    assert stack.layers[0].seed is not None
    stack = build_stack([{"_target_": "keras.layers.Rescaling", "scale": 0.5}], (8, 8, 1), seed=1)
    np.testing.assert_allclose(stack(np.full((1, 8, 8, 1), 8.0)), np.full((1, 8, 8, 1), 4.0))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "flip",
            "augmentation.layers.0 must name a layer, as in _target_: keras.layers.RandomFlip; got 'flip'",
        ),
        ({"mode": "horizontal"}, "augmentation.layers.0 must name a layer"),
        (
            {**FLIP, "mod": "x"},
            "augmentation.layers.0: keras.layers.RandomFlip: Unrecognized keyword arguments",
        ),
        (
            {**SHIFT, "height_factor": 5},
            "augmentation.layers.0: keras.layers.RandomTranslation: The `factor` argument",
        ),
        ({"_target_": "keras.layers.RandomFlop"}, "did you mean keras.layers.RandomFlip"),
        ({"_target_": "keras.layers.Lambda", "function": "x"}, "is not allowed"),
        ({"_target_": "keras.layers.RandomCrop", "height": 4, "width": 4}, "must keep the images' shape"),
        ({"_target_": "keras.layers.ZeroPadding3D"}, "augmentation.layers cannot take images of shape"),
        ({"_target_": "keras.regularizers.L2"}, "is not allowed: expected a layer"),
    ],
)
def test_what_cannot_augment_is_refused_in_one_line(spec: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        build_stack([spec], (8, 8, 1), seed=1)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
