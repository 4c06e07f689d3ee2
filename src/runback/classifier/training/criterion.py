"""The criterion of a training: the loss that it lowers, and the metrics that it measures besides."""

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from runback.classifier.training.macro_f1 import MacroF1


@dataclass(frozen=True)
class Criterion:
    """The crossentropy of the labels, and accuracy; more of either as the options say.

    Smoothing and weights are of the training loss alone: the validation loss stays the mean crossentropy in
    nats, so that trainings with other values of these can be compared by it.
    """

    label_smoothing: float = 0.0
    """The share s of a label that is spread over all k classes: 1 - s + s/k for the image's own, s/k for each
    other one (Szegedy et al., "Rethinking the Inception Architecture", 2016, section 7)."""
    class_weights: tuple[float, ...] | None = None
    """The factor of each class's images in the mean; None: all weigh the same."""
    top_k: int | None = None
    """Measure top_k_accuracy: the share of images with their label among the k likeliest classes."""
    macro_f1: bool = False
    """Measure macro_f1, see `MacroF1`."""

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        """Compile a model that gives probabilities."""
        with model.distribute_strategy.scope():
            model.compile(
                optimizer=optimizer,
                loss=self._loss(),
                metrics=self._metrics(model.output_shape[-1]),
                jit_compile=False,  # six times slower on CPUs, and not every augmentation compiles
            )

    def training_targets(self, labels: Any, num_classes: int) -> tuple[Any, ...]:
        """Return what the loss gets for a batch of labels (n,) in training: targets, and weights if any."""
        targets = self.validation_targets(labels, num_classes)
        if self.label_smoothing:
            targets = targets * (1 - self.label_smoothing) + self.label_smoothing / num_classes
        if self.class_weights is None:
            return (targets,)
        return targets, tf.gather(tf.constant(self.class_weights, tf.float32), labels)

    def validation_targets(self, labels: Any, num_classes: int) -> Any:
        """Return what the loss gets for a batch of labels (n,) in validation: no smoothing, no weights."""
        return tf.one_hot(labels, num_classes) if self.label_smoothing else labels

    def _loss(self) -> keras.losses.Loss:
        if self.label_smoothing:
            return keras.losses.CategoricalCrossentropy()
        return keras.losses.SparseCategoricalCrossentropy()

    def _metrics(self, num_classes: int) -> list[keras.metrics.Metric]:
        kinds = keras.metrics
        metrics: list[keras.metrics.Metric]
        if self.label_smoothing:
            metrics = [kinds.CategoricalAccuracy(name="accuracy")]
        else:
            metrics = [kinds.SparseCategoricalAccuracy(name="accuracy")]
        if self.top_k is not None:
            kind = (
                kinds.TopKCategoricalAccuracy if self.label_smoothing else kinds.SparseTopKCategoricalAccuracy
            )
            metrics.append(kind(self.top_k, name="top_k_accuracy"))
        if self.macro_f1:
            metrics.append(MacroF1(num_classes))
        return metrics


PLAIN = Criterion()
"""The mean crossentropy, and accuracy."""
