import json

import numpy as np
import pytest
from sklearn import metrics

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.quality.classification import (
    class_qualities,
    confusion_of,
    overall_quality,
)
from runback.statistics.wilson_interval import wilson


def test_numbers_are_those_of_scikit_learn(answers):
    found = overall_quality(answers, 2)
    labels, chosen, probabilities = answers.labels, answers.chosen, answers.probabilities
    expected = {
        "accuracy": metrics.accuracy_score(labels, chosen),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, chosen),
        "macro_f1": metrics.f1_score(labels, chosen, average="macro"),
        "top_2_accuracy": metrics.top_k_accuracy_score(labels, probabilities, k=2),
        "log_loss": metrics.log_loss(labels, probabilities),
    }
    assert {name: measure.value for name, measure in found.items()} == pytest.approx(expected, abs=1e-12)
    assert all(one.low < one.value < one.high for one in found.values())
    assert {one.n for one in found.values()} == {len(answers)}


def test_classes_are_those_of_scikit_learn(answers):
    precision, recall, f1, support = metrics.precision_recall_fscore_support(answers.labels, answers.chosen)
    for place, one in enumerate(class_qualities(answers)):
        assert one.n == support[place]
        assert one.recall.value == pytest.approx(recall[place], abs=1e-12)
        assert one.precision.value == pytest.approx(precision[place], abs=1e-12)
        assert one.f1.value == pytest.approx(f1[place], abs=1e-12)
        assert one.f1.low < one.f1.value < one.f1.high
        right = int((answers.right & (answers.labels == place)).sum())
        assert (one.recall.low, one.recall.high) == wilson(right, one.n)


@pytest.fixture
def without_truck(answers):
    rows = answers.labels != 3
    images = answers.images
    part = Dataset(images.images[rows], images.labels[rows], images.class_names)
    return Answers(part, answers.probabilities[rows])


def test_a_class_without_images_has_no_recall_and_counts_in_no_mean(without_truck):
    truck = class_qualities(without_truck)[3]
    assert (truck.n, truck.recall) == (0, None)
    assert truck.precision.value == 0
    found = overall_quality(without_truck, 2)
    recalls = metrics.recall_score(without_truck.labels, without_truck.chosen, labels=[0, 1, 2], average=None)
    assert found["balanced_accuracy"].value == pytest.approx(recalls.mean(), abs=1e-12)
    assert found["macro_f1"].value == pytest.approx(
        metrics.f1_score(without_truck.labels, without_truck.chosen, average="macro", zero_division=0),
        abs=1e-12,
    )


def test_the_confusion_counts_each_image_once(answers):
    confusion = confusion_of(answers)
    assert confusion.sum() == len(answers)
    assert confusion.trace() == answers.right.sum()
    assert confusion[1, 2] == np.count_nonzero((answers.labels == 1) & (answers.chosen == 2))


def test_qualities_survive_json(without_truck):
    content = [one.as_dict() for one in class_qualities(without_truck)]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
