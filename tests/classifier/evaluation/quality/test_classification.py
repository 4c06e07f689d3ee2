import json

import numpy as np
import pytest
from sklearn import metrics

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.quality.classification import (
    class_qualities,
    confusion_of,
    overall_quality,
)
from runback.statistics.wilson_interval import wilson


def test_numbers_are_those_of_scikit_learn(answers):
    found = overall_quality(answers, 2)
    labels, chosen, probabilities = answers.labels, answers.predicted, answers.probabilities
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
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        answers.labels, answers.predicted
    )
    for place, one in enumerate(class_qualities(answers)):
        assert one.n == support[place]
        assert one.recall.value == pytest.approx(recall[place], abs=1e-12)
        assert one.precision.value == pytest.approx(precision[place], abs=1e-12)
        assert one.f1.value == pytest.approx(f1[place], abs=1e-12)
        assert one.f1.low < one.f1.value < one.f1.high
        right = int((answers.correct & (answers.labels == place)).sum())
        assert (one.recall.low, one.recall.high) == wilson(right, one.n)


@pytest.fixture
def without_truck(answers):
    rows = answers.labels != 3
    return Answers(answers.dataset.take(np.flatnonzero(rows)), answers.probabilities[rows])


def test_a_class_without_images_has_no_recall_and_counts_in_no_mean(without_truck):
    truck = class_qualities(without_truck)[3]
    assert (truck.n, truck.recall) == (0, None)
    assert truck.precision.value == 0
    found = overall_quality(without_truck, 2)
    recalls = metrics.recall_score(
        without_truck.labels, without_truck.predicted, labels=[0, 1, 2], average=None
    )
    assert found["balanced_accuracy"].value == pytest.approx(recalls.mean(), abs=1e-12)
    assert found["macro_f1"].value == pytest.approx(
        metrics.f1_score(without_truck.labels, without_truck.predicted, average="macro", zero_division=0),
        abs=1e-12,
    )


def test_top_k_says_nothing_where_k_is_all_classes(answers):
    assert "top_4_accuracy" not in overall_quality(answers, 4)
    assert "top_3_accuracy" in overall_quality(answers, 3)


def test_intervals_have_a_width_where_all_is_right(made_answers):
    sure = made_answers(40, sureness=50)
    assert sure.correct.all()
    for name, one in overall_quality(sure, 2).items():
        assert one.value == pytest.approx(float(name != "log_loss"), abs=1e-6)
        if name != "log_loss":
            assert 0.85 < one.low < 1


def test_the_confusion_counts_each_image_once(answers):
    confusion = confusion_of(answers)
    assert confusion.sum() == len(answers)
    assert confusion.trace() == answers.correct.sum()
    assert confusion[1, 2] == np.count_nonzero((answers.labels == 1) & (answers.predicted == 2))


def test_qualities_survive_json(without_truck):
    content = [one.as_dict() for one in class_qualities(without_truck)]
    assert json.loads(json.dumps(content, allow_nan=False)) == content
