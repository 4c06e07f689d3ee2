"""Lets a training begin where a checkpoint was made."""

import keras

from runback.keras.keras_internals import restore_stopping, skip_steps
from runback.keras.training_state import restore_metrics
from runback.runs.checkpoint import Checkpoint


class Resumption(keras.callbacks.Callback):
    """Lets the training of a model restored from `start` begin there, also in the middle of an epoch.

    Comes after `stopping` in the list of callbacks, which forgets everything when a training begins.
    """

    def __init__(self, start: Checkpoint, stopping: keras.callbacks.EarlyStopping | None) -> None:
        super().__init__()
        self._start = start
        self._stopping = stopping

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Restore early stopping, and pass over the steps that are done."""
        if self._stopping is not None:
            best = [value for _, value in self._start.variables.get("best", [])]
            restore_stopping(self._stopping, self._start.stopping or {}, best)
        if self._start.step:
            skip_steps(self.model, self._start.step)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Restore what the metrics had gathered in the interrupted epoch."""
        if self._start.step and epoch == self._start.epoch:
            restore_metrics(self._start, self.model)


def has_stopped(start: Checkpoint) -> bool:
    """Return whether early stopping had ended the training when this checkpoint was made."""
    return start.stopping is not None and start.stopping["stopped_epoch"] > 0
