"""Lets a training begin where a checkpoint was made."""

from collections.abc import Callable
from typing import Any

import keras

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
            for name, value in (self._start.stopping or {}).items():
                setattr(self._stopping, name, value)
            best = [value for _, value in self._start.variables.get("best", [])]
            self._stopping.best_weights = best or None  # None: no epoch is complete yet
        if self._start.step:
            self.model.train_function = _after(self._start.step, self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Restore what the metrics had gathered in the interrupted epoch."""
        if self._start.step and epoch == self._start.epoch:
            restore_metrics(self._start, self.model)


def has_stopped(start: Checkpoint) -> bool:
    """Return whether early stopping had ended the training when this checkpoint was made."""
    return start.stopping is not None and start.stopping["stopped_epoch"] > 0


def _after(steps: int, model: keras.Model) -> Callable[[Any], Any]:
    """Return the model's train function, but doing nothing in its first `steps` calls.

    Keras' loop begins with the first step of an epoch, always.
    """
    train = model.train_function
    logs = model.get_metrics_result()  # Keras looks at the names only
    calls = 0

    def train_or_skip(batches: Any) -> Any:
        nonlocal calls
        calls += 1
        return logs if calls <= steps else train(batches)

    return train_or_skip
