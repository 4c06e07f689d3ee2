"""The distance between a network's confidence and how often it is right."""

from dataclasses import dataclass

import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.statistics.interval import Interval
from runback.statistics.root_finding import rising_root

BINS = 15
"""Bins of equal width, between 0 and 1."""

DRAWS = 2_000
"""Draws of the bins' noise, always the same ones."""

TAIL = 0.025
"""How often each end of a 95 % interval may miss."""

WIDEST = 8.0
"""Standard deviations that a bin's distance is moved by at most while an end is looked for."""


@dataclass(frozen=True, eq=False)
class ConfidenceBins:
    """Images by confidence; each array is of shape (bins,)."""

    n: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray
    """The sum of the images' confidence."""
    squares: np.ndarray
    """The sum of the squared distances of confidence and being right."""

    @property
    def distance(self) -> np.ndarray:
        """The sum over the images of being right less confidence: negative where the network is too sure."""
        return self.correct - self.confidence


def confidence_bins(answers: Answers) -> ConfidenceBins:
    """Return the images by confidence: a bin holds those above its lower end, its upper one included."""
    places = np.clip(np.ceil(answers.confidence * BINS).astype(int) - 1, 0, BINS - 1)
    apart = (answers.correct - answers.confidence) ** 2

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(places, values, BINS)

    return ConfidenceBins(
        sums(np.ones(len(places))), sums(answers.correct.astype(float)), sums(answers.confidence), sums(apart)
    )


def expected_calibration_error(bins: ConfidenceBins) -> Interval:
    """Return the expected calibration error with its 95 % interval.

    It is the mean over images of the distance between confidence and accuracy in their bin. Noise alone makes
    it larger than it is, most of all where a network is calibrated; so the interval is the set of values that
    a test does not reject, up to the estimate where that lies above them. The bins' distances are moved
    together, each by as many of its standard deviations, until they have the value that is tested. Source of
    the measure: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML
    2017, section 2.
    """
    n = bins.n.sum()
    distance = bins.distance
    rate = (bins.correct + 1) / (bins.n + 2)  # a bin in which all are right has noise as well
    deviation = np.sqrt(np.maximum(bins.squares - distance**2 / n, bins.n * rate * (1 - rate)))
    noise = np.random.default_rng(0).standard_normal((DRAWS, BINS)) * deviation
    error = float(np.abs(distance).sum() / n)
    signs = np.where(distance < 0, -1, 1)

    def moved(by: float) -> np.ndarray:
        return np.asarray(signs * np.maximum(0, np.abs(distance) + by * deviation))

    def errors(by: float) -> np.ndarray:
        return np.abs(moved(by) + noise).sum(axis=1) / n

    none = -float((np.abs(distance) / np.maximum(deviation, 1e-12)).max()) - 1
    low = none
    if (errors(none) >= error).mean() < TAIL:
        low = rising_root(lambda by: (errors(by) >= error).mean() - TAIL, none, WIDEST)
    high = rising_root(lambda by: TAIL - (errors(by) <= error).mean(), none, WIDEST)
    least, most = (float(np.abs(moved(by)).sum() / n) for by in (low, high))
    return Interval(error, least, max(most, error))
