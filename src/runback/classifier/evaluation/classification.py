"""Loss, accuracy and confusion of a classifier on a test split."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import naming_unread_images, validation_batches
from runback.errors import InputError
from runback.statistics.wilson_interval import wilson

SUM_TOLERANCE = 1e-2
"""The largest distance from 1 of the sum of an image's probabilities: bfloat16 keeps 8 bits."""


@dataclass(frozen=True)
class ClassAccuracy:
    """Accuracy on the `n` images of a class, with its 95 % Wilson interval; both are None when n is 0."""

    name: str
    n: int
    accuracy: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """The measurements of a network on `n` test images.

    `loss` is the mean sparse categorical crossentropy in nats; `interval` the 95 % Wilson interval of
    `accuracy`; `macro_f1` the mean F1 score of the classes that occur in labels or answers;
    `top_k_accuracy` the share of images with their label among the `top_k` likeliest classes, None where
    nobody asked for it; `confusion` int64 counts of shape (classes, classes): row the true class, column the
    answer.
    """

    n: int
    loss: float
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    top_k: int | None
    top_k_accuracy: float | None
    per_class: tuple[ClassAccuracy, ...]
    confusion: np.ndarray

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the rows."""
        return tuple(one.name for one in self.per_class)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return {
            "n": self.n,
            "test_loss": self.loss,
            "test_accuracy": self.accuracy,
            "test_accuracy_interval_95": list(self.interval),
            "test_macro_f1": self.macro_f1,
            **(
                {}
                if self.top_k is None
                else {"top_k": self.top_k, "test_top_k_accuracy": self.top_k_accuracy}
            ),
            "classes": [
                {
                    "name": one.name,
                    "n": one.n,
                    "accuracy": one.accuracy,
                    "interval_95": list(one.interval) if one.interval else None,
                }
                for one in self.per_class
            ],
            "confusion": self.confusion.tolist(),
        }


def evaluate(
    network: keras.Model, test: Dataset, batch_size: int = 256, *, top_k: int | None = None
) -> ClassificationReport:
    """Run `network` over the raw uint8 images of `test`, once; `top_k` as in the report.

    The network returns probabilities of shape (n, classes). Raises InputError when it returns something else
    or another number of classes than the test split has.
    """
    batches = validation_batches(test, batch_size)
    with naming_unread_images():
        probabilities = np.asarray(network.predict(batches, verbose=0), np.float64)
    _check(probabilities, test)
    answers = probabilities.argmax(axis=1)
    k = len(test.class_names)
    confusion = np.bincount(test.labels * k + answers, minlength=k * k).reshape(k, k)
    right = int(confusion.trace())
    return ClassificationReport(
        n=len(test),
        loss=_crossentropy(probabilities, test.labels),
        accuracy=right / len(test),
        interval=wilson(right, len(test)),
        macro_f1=_macro_f1(confusion),
        top_k=top_k,
        top_k_accuracy=None if top_k is None else _top_k_accuracy(probabilities, test.labels, top_k),
        per_class=tuple(
            _class_accuracy(*one) for one in zip(test.class_names, confusion, range(k), strict=True)
        ),
        confusion=confusion,
    )


def _crossentropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean crossentropy as Keras computes it behind a softmax.

    There Keras goes back to the logits (`keras.src.backend.tensorflow.nn._get_logits`), so a probability is
    not cut at its epsilon of 1e-7; only a float32's smallest one bounds the loss here, at 87 nats an image.
    """
    of_true_class = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_true_class, np.finfo(np.float32).tiny)).mean())


def _macro_f1(confusion: np.ndarray) -> float:
    labelled_or_answered = confusion.sum(axis=0) + confusion.sum(axis=1)
    occurs = labelled_or_answered > 0
    return float((2 * confusion.diagonal()[occurs] / labelled_or_answered[occurs]).mean())


def _top_k_accuracy(probabilities: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Return it as Keras does: classes that are as likely as the label's do not push it out."""
    of_true_class = probabilities[np.arange(len(labels)), labels]
    likelier = (probabilities > of_true_class[:, None]).sum(axis=1)
    return float((likelier < k).mean())


def _class_accuracy(name: str, row: np.ndarray, position: int) -> ClassAccuracy:
    n, right = int(row.sum()), int(row[position])
    if n == 0:
        return ClassAccuracy(name, 0, None, None)
    return ClassAccuracy(name, n, right / n, wilson(right, n))


def _check(probabilities: np.ndarray, test: Dataset) -> None:
    expected = (len(test), len(test.class_names))
    if probabilities.shape != expected:
        raise InputError(
            f"expected probabilities of shape {expected} for the test split's {expected[1]} classes; "
            f"the network returned shape {probabilities.shape}"
        )
    if not (probabilities.min() >= 0 and np.allclose(probabilities.sum(axis=1), 1, atol=SUM_TOLERANCE)):
        raise InputError(
            "expected probabilities that sum to 1 for each image: the network's last layer must be a softmax"
        )
