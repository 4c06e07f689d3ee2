import numpy as np
import pytest

from runback.classifier.evaluation.quality.near_duplicates import near_duplicates


def test_copies_are_found_though_they_are_brighter_or_stored_anew():
    generator = np.random.default_rng(2)
    training = generator.integers(0, 256, (2_500, 16, 16, 3), dtype=np.uint8)
    images = generator.integers(0, 256, (300, 16, 16, 3), dtype=np.uint8)
    images[7] = training[2_100]
    images[11] = (training[5] * 0.7 + 40).astype(np.uint8)
    noise = generator.normal(0, 4, (16, 16, 3))
    images[13] = np.clip(training[9] + noise, 0, 255).astype(np.uint8)
    found = near_duplicates(images, training)
    assert {(one.image, one.training_image) for one in found} == {(7, 2_100), (11, 5), (13, 9)}
    assert found[0].likeness >= found[-1].likeness >= 0.98


def test_images_of_one_colour_are_no_copies_of_each_other():
    blank = np.full((3, 8, 8, 1), 7, np.uint8)
    assert near_duplicates(blank, blank) == []


@pytest.mark.parametrize("side", [8, 20, 28, 33])
def test_brighter_copies_are_found_at_any_size_and_nothing_else(side):
    generator = np.random.default_rng(3)
    training = generator.integers(0, 190, (400, side, side, 1), dtype=np.uint8)
    images = generator.integers(0, 190, (100, side, side, 1), dtype=np.uint8)
    images[3] = training[77] + 60
    [found] = near_duplicates(images, training)
    assert (found.image, found.training_image) == (3, 77)
    assert found.likeness == pytest.approx(1)
