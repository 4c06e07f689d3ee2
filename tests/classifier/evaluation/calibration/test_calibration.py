from itertools import pairwise

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.calibration.calibration_error import (
    confidence_bins,
    expected_calibration_error,
)
from runback.classifier.evaluation.calibration.calibration_section import calibration_section
from runback.classifier.evaluation.calibration.selective_prediction import selection, threshold_for
from runback.classifier.evaluation.calibration.temperature import fit_temperature, tempered


def calibrated(n, seed=0, temperature=1.0):
    """Answers whose probabilities are true at `temperature` 1, and too sure above."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (n, 5))
    true = softmax(logits, axis=1)
    labels = (true.cumsum(axis=1) < generator.random((n, 1))).sum(axis=1).clip(0, 4)
    images = np.zeros((n, 4, 4, 1), np.uint8)
    return Answers(Dataset(images, labels, tuple("abcde")), softmax(logits * temperature, axis=1))


def test_the_error_is_the_mean_distance_in_bins():
    answers = calibrated(3_000, temperature=1.7)
    bins = confidence_bins(answers)
    expected, edges = 0.0, np.linspace(0, 1, 16)
    for low, high in pairwise(edges.tolist()):
        inside = (answers.confidence > low) & (answers.confidence <= high)
        if inside.any():
            apart = abs(answers.confidence[inside].mean() - answers.correct[inside].mean())
            expected += apart * inside.mean()
    found = expected_calibration_error(bins)
    assert found.mean == pytest.approx(expected, abs=1e-12)
    assert bins.n.sum() == 3_000


def test_a_calibrated_network_may_have_no_error_and_a_sure_one_has():
    fine = expected_calibration_error(confidence_bins(calibrated(4_000)))
    sure = expected_calibration_error(confidence_bins(calibrated(4_000, temperature=2.5)))
    assert fine.low == pytest.approx(0, abs=1e-6)
    assert fine.mean > 0
    assert sure.low > 0.05


def test_the_temperature_brings_back_what_was_too_sure():
    answers = calibrated(20_000, temperature=2.5)
    found = fit_temperature(answers)
    assert found == pytest.approx(2.5, rel=0.05)
    cooled = tempered(answers, found)
    assert np.array_equal(cooled.predicted, answers.predicted)
    assert cooled.losses.mean() < answers.losses.mean()


def test_the_section_has_scikit_learns_brier_score_and_a_threshold_from_validation():
    answers, validation = calibrated(2_000, 1), calibrated(2_000, 2)
    section = calibration_section(answers, validation, 0.8)
    expected = brier_score_loss(answers.labels, answers.probabilities, scale_by_half=False)
    assert section.measures["brier"].value == pytest.approx(expected, abs=1e-12)
    assert section.measures["selective_accuracy"].value == pytest.approx(0.8, abs=0.04)
    assert section.measures["coverage"].value < 1
    threshold = section.facts["threshold"]
    assert threshold["confidence"] == threshold_for(validation, 0.8)
    [by_class] = threshold["groupings"]
    assert by_class["name"] == "class"
    of_first = answers.labels == 0
    chosen = of_first & (answers.confidence >= threshold["confidence"])
    assert by_class["groups"][0]["coverage"]["value"] == chosen.sum() / of_first.sum()
    curve = section.facts["accuracy_by_share"]
    assert curve[-1] == {"share": 1.0, "accuracy": pytest.approx(answers.correct.mean())}


def test_an_accuracy_that_nothing_reaches_is_said():
    answers = calibrated(500)
    wrong = Answers(answers.dataset, 1 - answers.probabilities)
    wrong = Answers(wrong.dataset, wrong.probabilities / wrong.probabilities.sum(axis=1, keepdims=True))
    section = calibration_section(wrong, wrong, 0.99)
    assert "coverage" not in section.measures
    assert any("No threshold" in note for note in section.notes)


def test_a_threshold_answers_the_images_above_it():
    answers = calibrated(1_000)
    found = selection(answers, 0.7)
    chosen = answers.confidence >= 0.7
    assert found.answered.value == chosen.mean()
    assert found.accuracy.value == answers.correct[chosen].mean()


def test_bins_in_which_all_are_right_have_noise_as_well():
    probabilities = np.tile([0.999, 0.001], (200, 1))
    answers = Answers(
        Dataset(np.zeros((200, 1, 1, 1), np.uint8), np.zeros(200, int), ("a", "b")), probabilities
    )
    found = expected_calibration_error(confidence_bins(answers))
    assert found.high > 0.009  # what it is where the truth is 99 %, as in one of seven such splits
