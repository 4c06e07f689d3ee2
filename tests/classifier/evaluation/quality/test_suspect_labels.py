from dataclasses import replace

import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.quality.suspect_labels import near_duplicates, suspect_labels


def test_flipped_labels_are_found_first(answers):
    sure = np.flatnonzero(answers.confidence > 0.95)[:20]
    labels = answers.labels.copy()
    labels[sure] = (answers.chosen[sure] + 1) % 4
    flipped = Answers(replace(answers.images, labels=labels), answers.probabilities)
    found = suspect_labels(flipped)
    assert {one.image for one in found[:20]} <= {*sure.tolist()} | {
        one.image for one in suspect_labels(answers)
    }
    assert {*sure.tolist()} <= {one.image for one in found}
    first = found[0]
    assert first.label == labels[first.image]
    assert first.likelier == answers.chosen[first.image]
    assert first.likelier_probability > first.label_probability


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
