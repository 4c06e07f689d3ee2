import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from runback.classifier.evaluation.shifts import image_corruptions
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES, corrupted
from runback.classifier.evaluation.shifts.image_corruptions import interpolated, smeared

BY_NAME = {one.name: one for one in CORRUPTIONS}


@pytest.fixture(scope="module")
def images():
    """Smooth images, as photographs are: a few waves each."""
    generator = np.random.default_rng(5)
    noise = generator.random((60, 32, 32, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 3, 3, 0))
    smooth -= smooth.min(axis=(1, 2, 3), keepdims=True)
    return (smooth / smooth.max(axis=(1, 2, 3), keepdims=True) * 255).astype(np.uint8)


def distance(images, others):
    return float(np.abs(images.astype(float) - others).mean())


@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_images_are_changed_more_at_a_higher_severity(images, corruption):
    changes = [distance(images, corrupted(images, corruption, severity)) for severity in SEVERITIES]
    assert min(changes) > 0
    assert max(changes) < 90
    if corruption.name != "elastic_transform":  # what it stretches less, it bends more
        assert changes[-1] > changes[0]


@pytest.mark.parametrize("shape", [(32, 32, 1), (8, 8, 1), (20, 33, 3), (64, 64, 3)], ids=str)
@pytest.mark.parametrize("corruption", CORRUPTIONS, ids=lambda one: one.name)
def test_images_keep_their_form_and_a_block_its_draws(corruption, shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    made = corrupted(images, corruption, 5, block=2)
    assert made.shape == images.shape
    assert made.dtype == np.uint8
    assert np.array_equal(made, corrupted(images, corruption, 5, block=2))


def test_each_block_draws_anew(images):
    noise = BY_NAME["gaussian_noise"]
    assert not np.array_equal(corrupted(images, noise, 1, block=0), corrupted(images, noise, 1, block=1))


def test_noise_has_the_spread_that_its_parameter_says():
    grey = np.full((50, 32, 32, 3), 128, np.uint8)
    for name, expected in (("gaussian_noise", 0.10), ("shot_noise", (0.502 / 50) ** 0.5)):
        spread = (corrupted(grey, BY_NAME[name], 5) / 255).std()
        assert spread == pytest.approx(expected, rel=0.02)
    salted = corrupted(grey, BY_NAME["impulse_noise"], 5)
    assert (salted == 0).mean() == pytest.approx(0.035, rel=0.05)
    assert (salted == 255).mean() == pytest.approx(0.035, rel=0.05)


def test_jpeg_is_pillows(images):
    made = corrupted(images, BY_NAME["jpeg_compression"], 3)
    file = io.BytesIO()
    Image.fromarray(images[7]).save(file, "JPEG", quality=58)
    assert np.array_equal(made[7], np.asarray(Image.open(file)))


def test_glass_only_moves_pixels(images):
    shares = images.astype(np.float32) / 255
    made = image_corruptions.glass_blur(shares, (0.01, 2), np.random.default_rng(1))
    assert np.sort(made.reshape(60, -1)) == pytest.approx(np.sort(shares.reshape(60, -1)), abs=1e-6)
    assert distance(made, shares) > 0


def test_brightness_keeps_hue_and_saturation(images):
    made = corrupted(images, BY_NAME["brightness"], 3)
    before, after = (
        np.stack([np.asarray(Image.fromarray(one).convert("HSV")) for one in many]).astype(int)
        for many in (images, made)
    )
    bright = before[..., 2] > 100
    turned = np.abs(after[..., 0] - before[..., 0])[bright]
    assert np.minimum(turned, 256 - turned).mean() < 2
    assert np.abs(after[..., 1] - before[..., 1])[bright].mean() < 2
    assert (after[..., 2] - before[..., 2])[bright & (before[..., 2] < 200)] == pytest.approx(38, abs=1.5)


def test_motion_goes_one_way_along_its_angle():
    point = np.zeros((2, 32, 32, 1), np.float32)
    point[:, 16, 16] = 1
    level, falling = smeared(point, 6, 2, np.array([0.0, -90.0]))[..., 0]
    assert np.flatnonzero(level.any(axis=1)).tolist() == [16]
    assert np.flatnonzero(level.any(axis=0)).tolist() == list(range(10, 17))
    assert np.flatnonzero(falling.any(axis=0)).tolist() == [16]
    assert level.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("repeats_edge", "mode"), [(True, "reflect"), (False, "mirror")])
def test_interpolation_is_scipys(images, repeats_edge, mode):
    shares = images[:5].astype(np.float32) / 255
    generator = np.random.default_rng(4)
    down, right = generator.uniform(-9, 41, (2, 5, 32, 32)).astype(np.float32)
    made = interpolated(shares, down, right, repeats_edge=repeats_edge)
    for place in range(5):
        for channel in range(3):
            expected = ndimage.map_coordinates(
                shares[place, ..., channel], [down[place], right[place]], order=1, mode=mode
            )
            assert made[place, ..., channel] == pytest.approx(expected, abs=1e-4)
