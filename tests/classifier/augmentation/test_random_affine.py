from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from scipy import stats

from runback.classifier.augmentation.random_affine import RandomAffine
from runback.classifier.augmentation.stack import build_stack
from runback.errors import InputError

LAYERS = keras.layers
N = 4000

TARGET = {"_target_": "runback.classifier.augmentation.random_affine.RandomAffine"}


def noise(n: int = 6, height: int = 12, width: int = 9) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (n, height, width, 3)).astype("float32")


def smooth(n: int = 4, height: int = 40, width: int = 32) -> np.ndarray:
    """Return images that change so slowly that another resampling changes them little."""
    y, x = np.mgrid[:height, :width] / 10
    waves = [np.sin(x + number) * np.cos(y + channel) for number in range(n) for channel in range(3)]
    return (128 + 100 * np.array(waves)).reshape(n, 3, height, width).transpose(0, 2, 3, 1).astype("float32")


def stacked(images: np.ndarray, *layers: Any) -> np.ndarray:
    for layer in layers:
        images = layer(images, training=True)
    return np.asarray(images)


def changed(images: np.ndarray, **factors: Any) -> np.ndarray:
    return np.asarray(RandomAffine(**factors)(images, training=True))


@pytest.mark.parametrize("fill_mode", ["nearest", "constant", "reflect", "wrap"])
@pytest.mark.parametrize("turns", [0.1, -0.07, 0.25])
def test_a_rotation_alone_is_that_of_keras(turns: float, fill_mode: str) -> None:
    expected = stacked(noise(), LAYERS.RandomRotation((turns, turns), fill_mode=fill_mode))
    found = changed(noise(), rotation=(turns, turns), fill_mode=fill_mode)
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(("down", "right"), [(0.2, 0.1), (-0.31, 0.0), (0.0, -0.17)])
def test_a_shift_alone_is_that_of_keras(down: float, right: float) -> None:
    expected = stacked(noise(), LAYERS.RandomTranslation((down, down), (right, right), fill_mode="nearest"))
    found = changed(noise(), height_shift=(down, down), width_shift=(right, right))
    np.testing.assert_allclose(found, expected, atol=0.02)


@pytest.mark.parametrize(("taller", "wider"), [(0.2, -0.3), (-0.15, 0.0), (0.4, None)])
def test_a_zoom_alone_is_that_of_keras(taller: float, wider: float | None) -> None:
    width = None if wider is None else (wider, wider)
    expected = stacked(noise(), LAYERS.RandomZoom((taller, taller), width, fill_mode="nearest"))
    np.testing.assert_allclose(
        changed(noise(), height_zoom=(taller, taller), width_zoom=width), expected, atol=0.02
    )


def test_each_flip_mirrors_its_axis_of_about_half_the_images_on_its_own() -> None:
    images = noise(N, 3, 2)
    found = changed(images, horizontal_flip=True, vertical_flip=True, seed=1)
    choices = [images, images[:, :, ::-1], images[:, ::-1], images[:, ::-1, ::-1]]
    is_one = np.array([np.isclose(found, choice, atol=0.01).all(axis=(1, 2, 3)) for choice in choices])
    assert (is_one.sum(axis=0) == 1).all()
    assert stats.chisquare(is_one.sum(axis=1)).pvalue > 0.001


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_all_at_once_takes_pixels_from_where_the_stack_takes_them(is_mirrored: bool) -> None:
    turns, down, right, taller, wider = 0.08, 0.06, -0.09, -0.2, 0.1
    images = smooth()
    expected = stacked(
        images,
        LAYERS.RandomRotation((turns, turns), fill_mode="nearest"),
        LAYERS.RandomTranslation((down, down), (right, right), fill_mode="nearest"),
        LAYERS.RandomZoom((taller, taller), (wider, wider), fill_mode="nearest"),
    )
    layer = RandomAffine(
        (turns, turns), (down, down), (right, right), (taller, taller), (wider, wider), is_mirrored, seed=2
    )
    found = np.asarray(layer(images, training=True))
    mirrored = np.isclose(found, expected[:, :, ::-1], atol=12).mean(axis=(1, 2, 3)) > 0.9
    assert is_mirrored == mirrored.any()
    expected = np.where(mirrored[:, None, None, None], expected[:, :, ::-1], expected)
    inside = (slice(None), slice(12, -12), slice(10, -10))  # edges are repeated at each step of the stack
    # Bilinear resampling of a wave of this curvature is off by 0.25 a time, at most.
    np.testing.assert_allclose(found[inside], expected[inside], atol=1.0)
    other = changed(images, rotation=(-turns, -turns), height_shift=(down, down), width_shift=(right, right))
    assert np.abs(other[inside] - expected[inside]).max() > 10


def test_steps_of_whole_pixels_compose_exactly() -> None:
    images = noise(6, 12, 12)
    expected = stacked(
        images,
        LAYERS.RandomRotation((0.25, 0.25), fill_mode="nearest"),
        LAYERS.RandomTranslation((0.25, 0.25), (-0.5, -0.5), fill_mode="nearest"),
    )
    found = changed(images, rotation=(0.25, 0.25), height_shift=(0.25, 0.25), width_shift=(-0.5, -0.5))
    np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    layer = RandomAffine(0.111111, 0.2, (-0.1, 0.3), 0.2, 0.3, True, True, seed=5)
    return {name: np.asarray(one) for name, one in layer.draw(N).items()}


def test_draws_are_distributed_as_those_of_the_stacked_layers(drawn: dict[str, np.ndarray]) -> None:
    images = np.zeros((N, 10, 20, 1), "float32")
    rotation = LAYERS.RandomRotation(0.111111, seed=1).get_random_transformation(images)
    shift = LAYERS.RandomTranslation(0.2, (-0.1, 0.3), seed=2).get_random_transformation(images)
    zoom = LAYERS.RandomZoom(0.2, 0.3, seed=3).get_random_transformation(images)
    flip = LAYERS.RandomFlip("horizontal", seed=4).get_random_transformation(images)
    pairs = {
        "angle": (np.degrees(drawn["angle"]), rotation["angle"]),
        "right": (drawn["right"] * 20, shift["translations"][:, 0]),
        "down": (drawn["down"] * 10, shift["translations"][:, 1]),
        "tall": (np.abs(drawn["tall"]), zoom["height_zoom"][:, 0]),
        "wide": (np.abs(drawn["wide"]), zoom["width_zoom"][:, 0]),
    }
    for name, (ours, theirs) in pairs.items():
        assert stats.ks_2samp(ours, np.asarray(theirs)).pvalue > 0.001, name
    for flips in (drawn["wide"] < 0, drawn["tall"] < 0, np.asarray(flip["flips"]).ravel()):
        assert stats.binomtest(int(flips.sum()), N).pvalue > 0.001


def test_draws_are_independent_of_each_other_and_stay_within_their_bounds(
    drawn: dict[str, np.ndarray],
) -> None:
    values = [*drawn.values(), *(np.abs(drawn[name]) for name in ("tall", "wide"))]
    related = np.corrcoef(values) - np.corrcoef(values) * np.eye(len(values))
    assert np.abs(related[:5, :5]).max() < 0.06
    assert np.abs(np.degrees(drawn["angle"])).max() <= 40
    assert -0.1 <= drawn["right"].min() < drawn["right"].max() <= 0.3
    assert 0.7 <= np.abs(drawn["wide"]).min() < np.abs(drawn["wide"]).max() <= 1.3


def test_one_zoom_keeps_proportions_as_that_of_keras_does() -> None:
    one = RandomAffine(height_zoom=0.3, seed=1).draw(50)
    np.testing.assert_array_equal(one["tall"], one["wide"])
    assert len(np.unique(one["tall"])) == 50


def test_each_call_draws_anew_and_the_seed_repeats_the_sequence() -> None:
    layer, same, other = (RandomAffine(0.1, seed=seed) for seed in (3, 3, 4))
    first, second = (np.asarray(layer(noise(), training=True)) for _ in range(2))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(same(noise(), training=True), first)
    np.testing.assert_array_equal(same(noise(), training=True), second)
    assert not np.array_equal(other(noise(), training=True), first)


def test_its_random_state_is_a_variable_that_can_be_saved_and_put_back() -> None:
    layer = RandomAffine(0.1, 0.2, 0.2, seed=3)
    (state,) = layer.variables
    before = state.numpy()
    first = np.asarray(layer(noise(), training=True))
    assert not np.array_equal(np.asarray(layer(noise(), training=True)), first)
    state.assign(before)
    np.testing.assert_array_equal(layer(noise(), training=True), first)


def test_nothing_changes_outside_training_and_nothing_drawn_changes_nothing() -> None:
    np.testing.assert_array_equal(RandomAffine(0.3, 0.2)(noise()), noise())
    np.testing.assert_allclose(changed(noise()), noise(), atol=0.01)


def test_the_layer_survives_being_saved(tmp_path: Path) -> None:
    layer = RandomAffine(
        (-0.1, 0.2),
        0.1,
        width_zoom=(0.0, 0.1),
        vertical_flip=True,
        fill_mode="constant",
        fill_value=7,
        seed=3,
    )
    model = keras.Sequential([keras.Input((12, 9, 3)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    assert loaded.get_config() == layer.get_config()
    np.testing.assert_array_equal(loaded(noise(), training=True), changed(noise(), **config_of(layer)))


def config_of(layer: RandomAffine) -> dict[str, Any]:
    return {
        key: value for key, value in layer.get_config().items() if key not in ("name", "trainable", "dtype")
    }


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"rotation": "a lot"}, "rotation: expected a number, or the least and the greatest; got 'a lot'"),
        ({"rotation": [0.1, 0.2, 0.3]}, "rotation: expected a number"),
        ({"height_shift": [0.2, -0.2]}, "height_shift: expected a number, or the least"),
        ({"width_shift": 20}, r"width_shift must lie in \[-1, 1\]; got 20"),
        ({"height_zoom": -1}, r"height_zoom must lie in \[-0.99, 1\]; got -1"),
        ({"rotation": True}, "rotation: expected a number"),
        ({"rotation": float("nan")}, "rotation must lie in"),
        ({"fill_mode": "edge"}, "fill_mode must be one of constant, nearest, wrap, reflect; got 'edge'"),
        ({"interpolation": "cubic"}, "interpolation must be one of nearest, bilinear; got 'cubic'"),
        ({"horizontal_flip": "yes"}, "horizontal_flip must be one of False, True; got 'yes'"),
        ({"zoom": 0.2}, "zoom"),
    ],
)
def test_wrong_knobs_are_named(knobs: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        build_stack([{**TARGET, **knobs}], (8, 8, 1), seed=0)


def test_it_is_built_from_a_config_with_a_seed_of_its_own() -> None:
    first, second = (
        build_stack([{**TARGET, "rotation": [0.0, 0.1], "horizontal_flip": True}], (8, 8, 1), seed=seed)
        for seed in (0, 1)
    )
    assert first is not None
    assert second is not None
    assert first.layers[0].seed != second.layers[0].seed
    assert first.layers[0].rotation == (0.0, 0.1)
