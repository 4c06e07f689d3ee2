"""Accuracy on images that have become worse."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.shifts.corruption_table import CORRUPTIONS, SEVERITIES, corrupted
from runback.classifier.evaluation.shifts.variant_answers import variant_answers
from runback.statistics.paired_seeds import mean_interval


@dataclass(frozen=True, eq=False)
class CorruptionAccuracy:
    """Whether answers are right, booleans of shape (corruptions, severities, n)."""

    right: np.ndarray

    @property
    def n(self) -> int:
        """The number of images."""
        return int(self.right.shape[2])

    @property
    def mean(self) -> Measure:
        """The accuracy over all corruptions and severities: its interval is over images."""
        return Measure.of(mean_interval(self.right.mean(axis=(0, 1))), self.n)

    def at_severity(self) -> list[Measure]:
        """Return the accuracy over all corruptions at each severity."""
        return [Measure.of(mean_interval(self.right[:, place].mean(axis=0)), self.n) for place in range(5)]

    def table(self) -> dict[str, list[Measure]]:
        """Return the accuracy of each corruption, by its name, at each severity."""
        return {
            corruption.name: [Measure.share(int(row.sum()), self.n) for row in rows]
            for corruption, rows in zip(CORRUPTIONS, self.right, strict=True)
        }

    def relative_error(self, reference: Mapping[str, list[float]]) -> float:
        """Return the mean corruption error relative to a reference's accuracies, by corruption and severity.

        For each corruption, the errors over all severities are divided by the reference's; 1 is as good as
        it. Source: D. Hendrycks and T. Dietterich, ICLR 2019, section 4.1, where the reference is AlexNet.
        """
        shares = []
        for corruption, rows in zip(CORRUPTIONS, self.right, strict=True):
            other = float(np.sum([1 - accuracy for accuracy in reference[corruption.name]]))
            shares.append(float((1 - rows.mean(axis=1)).sum()) / max(other, 1e-9))
        return float(np.mean(shares))


def corruption_accuracy(
    network: keras.Model, answers: Answers, tick: Callable[[], None]
) -> CorruptionAccuracy:
    """Ask a network about images with each of 15 corruptions at 5 severities; `tick` after each."""
    kinds = [(corruption, severity) for corruption in CORRUPTIONS for severity in SEVERITIES]
    changes = (lambda block, number, kind=kind: corrupted(block, *kind, block=number) for kind in kinds)
    right = []
    for chosen in variant_answers(network, answers.images.images, changes):
        right.append(chosen == answers.labels)
        tick()
    return CorruptionAccuracy(np.stack(right).reshape(len(CORRUPTIONS), len(SEVERITIES), len(answers)))
