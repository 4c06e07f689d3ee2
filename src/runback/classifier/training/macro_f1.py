"""The mean F1 score of the classes, over all images of an epoch or of a validation."""

from typing import Any

import keras
from keras import ops


class MacroF1(keras.metrics.Metric):
    """F1 score of each class, 2 x right / (images of it + answers of it), averaged over the classes.

    As `sklearn.metrics.f1_score(labels, answers, average="macro")` has it: a class of which there is neither
    an image nor an answer is left out, one that has only images or only answers counts 0. Labels are
    positions of shape (n,), or probabilities of shape (n, classes) whose largest is the label's.
    """

    def __init__(self, num_classes: int, name: str = "macro_f1", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self._num_classes = num_classes
        self._right, self._labelled, self._answered = (
            self.add_weight(shape=(num_classes,), initializer="zeros", name=one)
            for one in ("right", "labelled", "answered")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch: labels, and probabilities of shape (n, classes)."""
        y_true = ops.convert_to_tensor(y_true)
        labels = ops.argmax(y_true, axis=-1) if len(y_true.shape) > 1 else ops.cast(y_true, "int32")
        # Sums of one-hot rows: a count by positions is not deterministic on every GPU.
        labelled, answered = (
            ops.one_hot(one, self._num_classes, dtype=self.dtype)
            for one in (labels, ops.argmax(y_pred, axis=-1))
        )
        self._right.assign_add(ops.sum(labelled * answered, axis=0))
        self._labelled.assign_add(ops.sum(labelled, axis=0))
        self._answered.assign_add(ops.sum(answered, axis=0))

    def result(self) -> Any:
        """Return the mean, a scalar."""
        both = self._labelled + self._answered
        scores = ops.divide_no_nan(2 * self._right, both)
        return ops.divide_no_nan(ops.sum(scores), ops.sum(ops.cast(both > 0, self.dtype)))

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {**super().get_config(), "num_classes": self._num_classes}
