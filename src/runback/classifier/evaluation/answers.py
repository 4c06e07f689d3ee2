"""A network's answers on the images of an evaluation."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import naming_unread_images, validation_batches
from runback.errors import InputError

SUM_TOLERANCE = 1e-2
"""The largest distance from 1 of the sum of an image's probabilities: bfloat16 keeps 8 bits."""

BATCH = 256
"""Images that are predicted at a time."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of n labelled images.

    `probabilities` are float64 of shape (n, classes), and each image's sum to 1.
    """

    dataset: Dataset
    probabilities: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image, int64 of shape (n,)."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the likeliest class, (n,)."""
        return self.probabilities.max(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether the likeliest class is the image's, booleans of shape (n,)."""
        return self.predicted == self.labels

    @cached_property
    def losses(self) -> np.ndarray:
        """The crossentropy of each image in nats, (n,), as scikit-learn's log_loss cuts it."""
        of_label = self.probabilities[np.arange(len(self.labels)), self.labels]
        return -np.log(np.clip(of_label, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))

    @property
    def labels(self) -> np.ndarray:
        """The class of each image, int64 of shape (n,)."""
        return self.dataset.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.dataset.class_names

    def __len__(self) -> int:
        return len(self.dataset)

    def most_confident(self, rows: np.ndarray, count: int) -> np.ndarray:
        """Return up to `count` of the images at `rows`, (k,), the most confident answers first."""
        return np.asarray(rows[np.argsort(-self.confidence[rows], kind="stable")][:count])


def predict_answers(network: keras.Model, dataset: Dataset) -> Answers:
    """Run a network over images, once. InputError where it returns no probabilities of them."""
    with naming_unread_images():
        predicted = network.predict(validation_batches(dataset, BATCH), verbose=0)
    return Answers(dataset, _checked(predicted, (len(dataset), len(dataset.class_names))))


def predict_probabilities(network: keras.Model, images: np.ndarray, classes: int) -> np.ndarray:
    """Return the probabilities of images in memory, float64 (n, classes). InputError as above."""
    predicted = network.predict(images, batch_size=BATCH, verbose=0)
    return _checked(predicted, (len(images), classes))


def _checked(predicted: Any, expected: tuple[int, int]) -> np.ndarray:
    """Return what a network predicted as float64, each image's sum exactly 1."""
    probabilities = np.asarray(predicted, np.float64)
    if probabilities.shape != expected:
        raise InputError(
            f"expected probabilities of shape {expected}, for {expected[1]} classes; "
            f"the network returned shape {probabilities.shape}"
        )
    sums = probabilities.sum(axis=1, keepdims=True)
    if not (probabilities.min() >= 0 and np.allclose(sums, 1, atol=SUM_TOLERANCE)):
        raise InputError(
            "expected probabilities that sum to 1 for each image: the network's last layer must be a softmax"
        )
    return np.asarray(probabilities / sums)
