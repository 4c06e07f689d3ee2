"""Predictions of a trained model for the images of its validation."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import naming_unread_images
from runback.classifier.training.criterion import PLAIN, Criterion
from runback.classifier.training.fit import validation_of


class ValidationPredictions:
    """Predictions of a model from `compile_model` for `validation`, from its last validation if possible.

    `validation`, `batch_size` and `criterion` must be those that `fit` gets.
    """

    def __init__(
        self, model: keras.Model, validation: Dataset, batch_size: int, criterion: Criterion = PLAIN
    ) -> None:
        self._model, self._validation, self._batch_size = model, validation, batch_size
        self._criterion = criterion
        self._weights: list[bytes] = []  # that the kept ones were made with
        with tf.device("CPU"):
            shape = (len(validation), *model.output_shape[1:])
            self._kept = tf.Variable(tf.zeros(shape, model.outputs[0].dtype), trainable=False)
            self._end = tf.Variable(0, trainable=False)

    def current(self) -> np.ndarray:
        """Return the probability of each class for each image, (n, classes), with the weights of now.

        Validates once more, with the same bits, if the last validation was incomplete or had other weights.
        """
        if self._end.numpy() < len(self._validation) or self._weights != _bits(self._model):
            given = (self._model, self._validation, self._batch_size, self._criterion)
            batches, steps = validation_of(*given)
            with self.keeping(), naming_unread_images():
                self._model.evaluate(batches, steps=steps, verbose=0)
        return np.asarray(self._kept.numpy())

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep what the model says in each validation meanwhile."""
        model = self._model
        compute_loss, evaluate = model.compute_loss, model.evaluate

        def keep(x: Any, y: Any, y_pred: Any, sample_weight: Any, training: bool = True) -> Any:
            if not training:
                begin = self._end.read_value()
                end = self._end.assign_add(tf.shape(y_pred)[0], read_value=True)
                self._kept[begin:end].assign(y_pred)
            return compute_loss(x, y, y_pred, sample_weight, training=training)

        def validate(*args: Any, **options: Any) -> Any:
            self._end.assign(0)
            results = evaluate(*args, **options)
            self._weights = _bits(model)
            return results

        model.compute_loss, model.evaluate = keep, validate
        model.test_function = None  # it may have been built without `keep`
        try:
            yield
        finally:
            del model.compute_loss, model.evaluate
            model.test_function = None


def _bits(model: keras.Model) -> list[bytes]:
    return [weight.tobytes() for weight in model.get_weights()]
