"""A network's answers on the images of an evaluation."""

from dataclasses import dataclass
from functools import cached_property

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

    images: Dataset
    probabilities: np.ndarray

    @cached_property
    def chosen(self) -> np.ndarray:
        """The likeliest class of each image, int64 of shape (n,)."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """The probability of the likeliest class, (n,)."""
        return self.probabilities.max(axis=1)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether the likeliest class is the image's, booleans of shape (n,)."""
        return self.chosen == self.labels

    @cached_property
    def losses(self) -> np.ndarray:
        """The crossentropy of each image in nats, (n,), as scikit-learn's log_loss cuts it."""
        of_label = self.probabilities[np.arange(len(self.labels)), self.labels]
        return -np.log(np.clip(of_label, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))

    @property
    def labels(self) -> np.ndarray:
        """The class of each image, int64 of shape (n,)."""
        return self.images.labels

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.images.class_names

    def __len__(self) -> int:
        return len(self.images)


def answers(network: keras.Model, images: Dataset) -> Answers:
    """Run a network over images, once. InputError where it returns no probabilities of them."""
    with naming_unread_images():
        predicted = network.predict(validation_batches(images, BATCH), verbose=0)
    probabilities = np.asarray(predicted, np.float64)
    _check(probabilities, (len(images), len(images.class_names)))
    return Answers(images, probabilities / probabilities.sum(axis=1, keepdims=True))


def _check(probabilities: np.ndarray, expected: tuple[int, int]) -> None:
    if probabilities.shape != expected:
        raise InputError(
            f"expected probabilities of shape {expected} for the test split's {expected[1]} classes; "
            f"the network returned shape {probabilities.shape}"
        )
    if not (probabilities.min() >= 0 and np.allclose(probabilities.sum(axis=1), 1, atol=SUM_TOLERANCE)):
        raise InputError(
            "expected probabilities that sum to 1 for each image: the network's last layer must be a softmax"
        )
