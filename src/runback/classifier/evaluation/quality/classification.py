"""Accuracy and what belongs to it, overall and for each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    top_k_accuracy_score,
)

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.statistics.count_bootstrap import count_interval
from runback.statistics.paired_seeds import mean_interval
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


class _Cells:
    """The pairs of class and answer that occur, and the images of each: `counts` (cells,)."""

    def __init__(self, answers: Answers) -> None:
        k = len(answers.class_names)
        used, self.counts = np.unique(answers.labels * k + answers.chosen, return_counts=True)
        labels, chosen = used // k, used % k
        every, ones = np.arange(len(used)), np.ones(len(used))
        self._labels = sparse.csr_array((ones, (every, labels)), shape=(len(used), k))
        self._chosen = sparse.csr_array((ones, (every, chosen)), shape=(len(used), k))
        self._right = sparse.csr_array(
            ((labels == chosen).astype(float), (every, labels)), shape=(len(used), k)
        )

    def balanced_accuracies(self, counts: np.ndarray) -> np.ndarray:
        """Return the mean recall over the classes with images, for counts (draws, cells)."""
        return _mean_share(counts @ self._right, counts @ self._labels)

    def macro_f1s(self, counts: np.ndarray) -> np.ndarray:
        """Return the mean F1 over the classes that occur, for counts (draws, cells)."""
        return _mean_share(2 * (counts @ self._right), counts @ self._labels + counts @ self._chosen)


def _mean_share(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    occurs = wholes > 0
    return np.asarray((parts / np.maximum(wholes, 1)).sum(axis=1) / occurs.sum(axis=1))


def confusion_of(answers: Answers) -> np.ndarray:
    """Return counts (classes, classes): row the true class, column the answer."""
    every = range(len(answers.class_names))
    return np.asarray(confusion_matrix(answers.labels, answers.chosen, labels=every), np.int64)


def overall_quality(answers: Answers, top_k: int) -> dict[str, Measure]:
    """Return the numbers of all images together, by name, at least 2 images.

    Balanced accuracy is over the classes that there are images of, macro F1 over those that occur in labels
    or answers, both as scikit-learn has them; log loss is in nats. Their intervals: Wilson's for shares of
    images, the bootstrap's for means over classes, Student's t for the log loss.
    """
    labels, n, every = answers.labels, len(answers), range(len(answers.class_names))
    in_top = round(_top_k(answers, top_k) * n)
    cells = _Cells(answers)
    balanced = count_interval(cells.counts, cells.balanced_accuracies)
    macro = count_interval(cells.counts, cells.macro_f1s)
    loss = mean_interval(answers.losses)
    used = np.union1d(labels, answers.chosen)
    return {
        "accuracy": Measure(
            float(accuracy_score(labels, answers.chosen)), *wilson(int(answers.right.sum()), n), n
        ),
        "balanced_accuracy": Measure(_balanced_accuracy(answers), balanced.low, balanced.high, n),
        "macro_f1": Measure(
            float(f1_score(labels, answers.chosen, labels=used, average="macro")), macro.low, macro.high, n
        ),
        f"top_{top_k}_accuracy": Measure.share(in_top, n),
        "log_loss": Measure(
            float(log_loss(labels, answers.probabilities, labels=every)), loss.low, loss.high, n
        ),
    }


def class_qualities(answers: Answers) -> list[ClassQuality]:
    """Return the quality of each class, in their order.

    F1 is 2 J / (1 + J) of the Jaccard index J, the share of right ones among the images that are of the class
    or answered with it: so its interval is that of a share, brought to the scale of F1.
    """
    confusion = confusion_of(answers)
    found = []
    for place, name in enumerate(answers.class_names):
        right, n, said = (
            int(confusion[place, place]),
            int(confusion[place].sum()),
            int(confusion[:, place].sum()),
        )
        concerned = n + said - right
        found.append(
            ClassQuality(
                name,
                n,
                Measure.share(right, n) if n else None,
                Measure.share(right, said) if said else None,
                _f1(right, concerned) if concerned else None,
            )
        )
    return found


def _f1(right: int, concerned: int) -> Measure:
    low, high = (2 * end / (1 + end) for end in wilson(right, concerned))
    return Measure(2 * right / (concerned + right), low, high, concerned)


def _balanced_accuracy(answers: Answers) -> float:
    present = np.isin(answers.chosen, np.unique(answers.labels))
    if present.all():  # scikit-learn warns of answers with a class that has no images
        return float(balanced_accuracy_score(answers.labels, answers.chosen))
    cells = _Cells(answers)
    return float(cells.balanced_accuracies(cells.counts[None])[0])


def _top_k(answers: Answers, k: int) -> float:
    every = np.arange(len(answers.class_names))
    if len(every) == 2:
        return float(answers.right.mean()) if k == 1 else 1.0
    return float(top_k_accuracy_score(answers.labels, answers.probabilities, k=k, labels=every))
