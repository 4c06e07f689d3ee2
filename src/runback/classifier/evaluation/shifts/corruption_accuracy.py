"""Accuracy on images that have become worse."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES, corrupted
from runback.classifier.evaluation.shifts.variant_answers import variant_answers
from runback.statistics.bounded_mean import bounded_mean_interval
from runback.statistics.interval import mean_interval


@dataclass(frozen=True)
class ReferenceAccuracies:
    """The accuracies of another run on the same images, by corruption, at each severity."""

    run: str
    images_sha256: str
    by_corruption: Mapping[str, Sequence[float]]


@dataclass(frozen=True, eq=False)
class CorruptionAccuracy:
    """Whether answers are right, booleans of shape (corruptions, severities, n)."""

    correct: np.ndarray

    @property
    def n(self) -> int:
        """The number of images."""
        return int(self.correct.shape[2])

    @property
    def mean(self) -> Measure:
        """The accuracy over all corruptions and severities: its interval is over images."""
        return Measure.of(bounded_mean_interval(self.correct.mean(axis=(0, 1))), self.n)

    def at_severity(self) -> list[Measure]:
        """Return the accuracy over all corruptions at each severity."""
        return [
            Measure.of(bounded_mean_interval(self.correct[:, place].mean(axis=0)), self.n)
            for place in range(len(SEVERITIES))
        ]

    def table(self) -> dict[str, list[Measure]]:
        """Return the accuracy of each corruption, by its name, at each severity."""
        return {
            corruption.name: [Measure.share(int(row.sum()), self.n) for row in rows]
            for corruption, rows in zip(CORRUPTIONS, self.correct, strict=True)
        }

    def mean_corruption_error(self, reference: Mapping[str, Sequence[float]]) -> Measure:
        """Return the mean corruption error relative to a reference's accuracies, by corruption and severity.

        For each corruption, the errors over all severities are divided by the reference's; 1 is as good as
        it, which must make some in each. The interval is over the images of this network, and leaves out the
        reference's own noise. Source: D. Hendrycks and T. Dietterich, ICLR 2019, section 4.1, where the
        reference is AlexNet.
        """
        parts = []
        for corruption, rows in zip(CORRUPTIONS, self.correct, strict=True):
            errors = sum(1 - accuracy for accuracy in reference[corruption.name])
            parts.append((~rows).sum(axis=0) / errors)
        return Measure.of(mean_interval(np.mean(parts, axis=0)), self.n)


def corruption_accuracy(
    network: keras.Model, answers: Answers, tick: Callable[[], None]
) -> CorruptionAccuracy:
    """Ask a network about images with each of 15 corruptions at 5 severities; `tick` after each."""
    kinds = [(corruption, severity) for corruption in CORRUPTIONS for severity in SEVERITIES]
    changes = (lambda block, number, kind=kind: corrupted(block, *kind, block=number) for kind in kinds)
    correct = []
    for predicted in variant_answers(network, answers.dataset.images, changes):
        correct.append(predicted == answers.labels)
        tick()
    return CorruptionAccuracy(np.stack(correct).reshape(len(CORRUPTIONS), len(SEVERITIES), len(answers)))
