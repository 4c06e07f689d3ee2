"""Trains a network in two phases: the layers that are new, then all of them, with an optimizer of its own."""

import sys
from dataclasses import dataclass, replace

import keras

from runback.classifier.training.criterion import Criterion
from runback.keras.keras_internals import build_metrics
from runback.keras.training_state import Checkpoint, build_optimizer, values


@dataclass(frozen=True, eq=False)
class FineTuning:
    """The second phase of a training: it begins after `frozen_epochs` epochs, in which `base` is frozen."""

    base: keras.Model
    frozen_epochs: int
    optimizer: keras.optimizers.Optimizer

    def begin(self, model: keras.Model, criterion: Criterion) -> None:
        """Have all layers of a model that contains `base` trained from now on, but batch normalisation."""
        self.base.trainable = True
        _freeze_normalization(self.base)
        criterion.compile(model, self.optimizer)
        with model.distribute_strategy.scope():
            build_optimizer(model)

    def resume(self, model: keras.Model, criterion: Criterion, start: Checkpoint) -> Checkpoint:
        """Begin, if that is due at `start`; return the checkpoint to restore then.

        Between the phases, an optimizer begins anew: what the checkpoint has of the one before is left out.
        """
        if start.epoch < self.frozen_epochs:
            return start
        self.begin(model, criterion)
        if start.epoch > self.frozen_epochs or start.step > 0:
            return start
        return replace(start, variables={**start.variables, "optimizer": values(model.optimizer.variables)})


def _freeze_normalization(network: keras.Model) -> None:
    """Keep batch normalisation in inference mode: a few small batches would undo the statistics it came with.

    `training=False` in the call does not: in a functional model, Keras passes the outer model's on.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
        elif isinstance(layer, keras.Model):
            _freeze_normalization(layer)


class FineTuningStart(keras.callbacks.Callback):
    """Begins the second phase when its epoch does; patience counts from there on.

    Comes before whatever looks at the optimizer or at early stopping when an epoch begins.
    """

    def __init__(
        self,
        fine_tuning: FineTuning,
        criterion: Criterion,
        stopping: keras.callbacks.EarlyStopping | None,
        start: Checkpoint,
    ) -> None:
        super().__init__()
        self._fine_tuning, self._criterion, self._stopping, self._start = (
            fine_tuning,
            criterion,
            stopping,
            start,
        )
        self._patience = 0 if stopping is None else stopping.patience

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Keep early stopping from ending the first phase."""
        if self._stopping is not None and self._start.epoch < self._fine_tuning.frozen_epochs:
            self._stopping.patience = sys.maxsize

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begin the phase in its first epoch, unless the training was resumed there."""
        if epoch != self._fine_tuning.frozen_epochs:
            return
        if self._start.epoch < epoch:
            self._fine_tuning.begin(self.model, self._criterion)
            build_metrics(self.model)
            self.model.reset_metrics()
            self.model.make_train_function()
        if self._stopping is not None and (self._start.epoch < epoch or not self._start.step):
            self._stopping.patience, self._stopping.wait = self._patience, 0
