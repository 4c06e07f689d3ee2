"""Accuracy and what belongs to it, overall and for each class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import confusion_matrix

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.statistics.count_bootstrap import count_interval
from runback.statistics.interval import Interval, mean_interval
from runback.statistics.wilson_interval import wilson


@dataclass(frozen=True)
class ClassQuality:
    """A class: its images, and how good the answers are that concern it; None where there are none."""

    name: str
    n: int
    recall: Measure | None
    """The share of its images that are answered with it: the accuracy on them."""
    precision: Measure | None
    """The share of the answers with it that are right."""
    f1: Measure | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        numbers = {"recall": self.recall, "precision": self.precision, "f1": self.f1}
        return {
            "name": self.name,
            "n": self.n,
            **{name: measure and measure.as_dict() for name, measure in numbers.items()},
        }


def confusion_of(answers: Answers) -> np.ndarray:
    """Return counts (classes, classes): row the true class, column the answer."""
    every = range(len(answers.class_names))
    return np.asarray(confusion_matrix(answers.labels, answers.predicted, labels=every), np.int64)


def overall_quality(answers: Answers, top_k: int) -> dict[str, Measure]:
    """Return the numbers of all images together, by name, at least 2 images.

    Balanced accuracy is over the classes that there are images of, macro F1 over those that occur in labels
    or answers, both as scikit-learn has them; log loss is in nats. Top-k accuracy is left out where k is the
    number of classes. Intervals: Wilson's for shares of images; the squares of each recall's added up for
    balanced accuracy; for macro F1 the bootstrap's, or that if it is wider; Student's t for the log loss.
    Source of the addition: G. Zou and A. Donner, Statistics in Medicine 27 (2008), 1693-1702.
    """
    n = len(answers)
    classes = class_qualities(answers)
    balanced = _added_up([one.recall for one in classes if one.recall is not None])
    measures = {
        "accuracy": Measure.share(int(answers.correct.sum()), n),
        "balanced_accuracy": Measure.of(balanced, n),
        "macro_f1": Measure.of(_macro_f1(answers, [one.f1 for one in classes if one.f1 is not None]), n),
    }
    if top_k < len(answers.class_names):
        measures[f"top_{top_k}_accuracy"] = Measure.share(_in_top(answers, top_k), n)
    return {**measures, "log_loss": _log_loss(answers)}


def class_qualities(answers: Answers) -> list[ClassQuality]:
    """Return the quality of each class, in their order.

    F1 is 2 J / (1 + J) of the Jaccard index J, the share of right ones among the images that are of the class
    or answered with it: so its interval is that of a share, brought to the scale of F1.
    """
    confusion = confusion_of(answers)
    found = []
    for place, name in enumerate(answers.class_names):
        right, n = int(confusion[place, place]), int(confusion[place].sum())
        answered = int(confusion[:, place].sum())
        concerned = n + answered - right
        found.append(
            ClassQuality(
                name,
                n,
                Measure.share(right, n) if n else None,
                Measure.share(right, answered) if answered else None,
                _f1(right, concerned) if concerned else None,
            )
        )
    return found


def _log_loss(answers: Answers) -> Measure:
    found = mean_interval(answers.losses)
    return Measure.of(Interval(found.mean, max(0.0, found.low), found.high), len(answers))


def _f1(right: int, concerned: int) -> Measure:
    low, high = (2 * end / (1 + end) for end in wilson(right, concerned))
    return Measure(2 * right / (concerned + right), low, high, concerned)


def _added_up(measures: Sequence[Measure]) -> Interval:
    """Return the mean of independent measures with the interval that theirs add up to."""
    values = np.array([one.value for one in measures])
    lows, highs = (np.array([getattr(one, end) for one in measures], float) for end in ("low", "high"))
    mean, count = float(values.mean()), len(measures)
    down, up = (float(np.sqrt(((ends - values) ** 2).sum())) / count for ends in (lows, highs))
    return Interval(mean, max(0.0, mean - down), min(1.0, mean + up))


def _macro_f1(answers: Answers, of_classes: Sequence[Measure]) -> Interval:
    k = len(answers.class_names)
    cells, counts = np.unique(answers.labels * k + answers.predicted, return_counts=True)
    labels, predicted = cells // k, cells % k
    hits, of_label, of_answer = (
        sparse.csr_array((weights, (np.arange(len(cells)), columns)), shape=(len(cells), k))
        for weights, columns in (
            ((labels == predicted).astype(float), labels),
            (np.ones(len(cells)), labels),
            (np.ones(len(cells)), predicted),
        )
    )

    def macro_f1s(drawn: np.ndarray) -> np.ndarray:
        """Return the mean F1 over the classes that occur, for counts (draws, cells)."""
        concerned = drawn @ of_label + drawn @ of_answer
        occur = (concerned > 0).sum(axis=1)
        return np.asarray((2 * (drawn @ hits) / np.maximum(concerned, 1)).sum(axis=1) / occur)

    drawn, added = count_interval(counts, macro_f1s), _added_up(of_classes)
    return Interval(drawn.mean, min(drawn.low, added.low), max(drawn.high, added.high))


def _in_top(answers: Answers, k: int) -> int:
    """Return how many images have their class among the k likeliest, later classes first."""
    order = np.argsort(answers.probabilities, axis=1, kind="stable")[:, ::-1]
    return int((order[:, :k] == answers.labels[:, None]).any(axis=1).sum())
