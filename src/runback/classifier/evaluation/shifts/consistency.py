"""Consistency: the share of answers that stay when an image is moved by a few pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from runback.classifier.evaluation.answers import Answers
from runback.classifier.evaluation.measure import Measure
from runback.classifier.evaluation.shifts.translation import MOVES, Move, moved
from runback.classifier.evaluation.shifts.variant_answers import variant_answers
from runback.statistics.bounded_mean import bounded_mean_interval


@dataclass(frozen=True, eq=False)
class Consistency:
    """The answers to moved images beside those to the images themselves.

    `changed` are booleans of shape (moves, n): whether the answer is another one; `correct` of the same
    shape.
    """

    answers: Answers
    changed: np.ndarray
    correct: np.ndarray

    @property
    def mean(self) -> Measure:
        """The share of answers that stay, over all moves: its interval is over images."""
        return Measure.of(bounded_mean_interval(1 - self.changed.mean(axis=0)), len(self.answers))

    @property
    def ever_changed(self) -> Measure:
        """The share of images whose answer changes in any move."""
        return Measure.share(int(self.changed.any(axis=0).sum()), len(self.answers))

    @property
    def accuracy(self) -> Measure:
        """The accuracy on moved images, over all moves."""
        return Measure.of(bounded_mean_interval(self.correct.mean(axis=0)), len(self.answers))

    def by_move(self) -> list[tuple[Move, Measure]]:
        """Return the share of images whose answer changes, for each move."""
        n = len(self.answers)
        return [
            (move, Measure.share(int(row.sum()), n)) for move, row in zip(MOVES, self.changed, strict=True)
        ]

    def by_class(self) -> list[Measure | None]:
        """Return the share of images of each class whose answer changes in any move; None without images."""
        ever = np.asarray(self.changed.any(axis=0))
        found = []
        for place in range(len(self.answers.class_names)):
            own = ever[self.answers.labels == place]
            found.append(Measure.share(int(own.sum()), len(own)) if len(own) else None)
        return found

    def least_stable(self, count: int) -> np.ndarray:
        """Return the images whose answers change in most moves, the most confident first among equals."""
        return np.lexsort((-self.answers.confidence, -self.changed.sum(axis=0)))[:count]


def consistency(network: keras.Model, answers: Answers, tick: Callable[[], None]) -> Consistency:
    """Ask a network about images moved by 1 to 4 pixels in four directions; `tick` is called after each."""
    changes = (lambda block, _, move=move: moved(block, move) for move in MOVES)
    predicted = []
    for of_move in variant_answers(network, answers.dataset.images, changes):
        predicted.append(of_move)
        tick()
    every = np.stack(predicted)
    return Consistency(answers, every != answers.predicted, every == answers.labels)
