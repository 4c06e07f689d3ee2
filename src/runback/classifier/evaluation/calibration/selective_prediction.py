"""What a network is worth that answers only where it is sure."""

from dataclasses import dataclass

import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure


@dataclass(frozen=True)
class Selection:
    """The images that are answered above a threshold of confidence, on `n` images in all."""

    threshold: float
    answered: Measure
    """The share of images that are answered."""
    accuracy: Measure | None
    """Of those; None where there are none."""


def accuracy_by_share(answers: Answers) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of images, (n,), and the accuracy on as many of them, the most confident first, (n,)."""
    order = np.argsort(-answers.confidence, kind="stable")
    count = np.arange(1, len(answers) + 1)
    return count / len(answers), np.cumsum(answers.correct[order]) / count


def threshold_for(validation: Answers, accuracy: float) -> float | None:
    """Return the least confidence above which as large a share of validation images is right.

    None where no threshold reaches it.
    """
    order = np.argsort(-validation.confidence, kind="stable")
    confidence = validation.confidence[order]
    shares = np.cumsum(validation.correct[order]) / np.arange(1, len(order) + 1)
    is_last = np.append(confidence[1:] < confidence[:-1], True)  # images of one confidence go together
    reaching = np.flatnonzero((shares >= accuracy) & is_last)
    return float(confidence[reaching[-1]]) if len(reaching) else None


def selection(answers: Answers, threshold: float, rows: np.ndarray | None = None) -> Selection:
    """Return what a threshold does to all images, or to those at `rows`, at least one."""
    confidence, right = (one if rows is None else one[rows] for one in (answers.confidence, answers.correct))
    chosen = confidence >= threshold
    count = int(chosen.sum())
    return Selection(
        threshold,
        Measure.share(count, len(confidence)),
        Measure.share(int(right[chosen].sum()), count) if count else None,
    )
