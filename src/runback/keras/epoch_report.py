"""Tells the caller of a training about each epoch, and a few times a second about its batches."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from runback.errors import Diverged
from runback.runs.checkpoint import Checkpoint

OnEpoch = Callable[[int, dict[str, float]], None]
"""Called with the number of completed epochs and the epoch's metrics; may raise to end the training."""

OnBatch = Callable[[int, int, dict[str, float]], None]
"""Called with the running epoch (from 1), the images it has trained on, and its metrics so far."""

BATCH_INTERVAL = 0.1
"""Seconds between two calls of an OnBatch, at least."""


class EpochReport(keras.callbacks.Callback):
    """Times each epoch, keeps its metrics in `history`, and hands them on.

    To Keras' metrics it adds `learning_rate` (of the epoch's first step), `epoch_seconds` (the whole epoch,
    validation included; in the first one also the building of the graph) and `images_per_second` (training
    only). Raises Diverged after an epoch whose loss is not finite.

    `images_in` gives the number of training images of an epoch, which is counted from 0.

    The history goes on from that of `start`. An epoch that was interrupted there counts as one: the time it
    had trained before is added, that of a validation that was cut short is not.
    """

    def __init__(
        self,
        images_in: Callable[[int], int],
        batch_size: int,
        on_epoch: OnEpoch,
        on_batch: OnBatch | None,
        start: Checkpoint,
    ) -> None:
        super().__init__()
        self.history = list(start.history)
        self.learning_rate = math.nan
        self._start = start
        self._images_in = images_in
        self._batch_size = batch_size
        self._on_epoch = on_epoch
        self._on_batch = on_batch
        self._epoch = 0
        self._started = self._trained = self._reported = 0.0

    @property
    def seconds(self) -> float:
        """Seconds that the running epoch has trained so far."""
        return (self._trained or time.perf_counter()) - self._started

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the clock."""
        self._epoch = epoch
        self._trained = 0.0
        self._started = time.perf_counter()
        self.learning_rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        if self._start.step and epoch == self._start.epoch:
            self._started -= self._start.seconds
            self.learning_rate = self._start.learning_rate

    # The end of a batch would be the natural place, but Keras turns every batch's metrics into Python
    # floats for a callback that asks for it: that waits for the device after every single step.
    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Report the batches done so far, if the last report is long enough ago."""
        if self._on_batch is None or batch == 0:
            return
        if time.perf_counter() - self._reported < BATCH_INTERVAL:
            return
        self._on_batch(self._epoch + 1, batch * self._batch_size, _floats(self.model.get_metrics_result()))
        self._reported = time.perf_counter()

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Note when training ended and validation began."""
        self._trained = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Hand on the epoch's metrics, then stop a training that has diverged."""
        metrics = {
            **_floats(logs or {}),
            "learning_rate": self.learning_rate,
            "epoch_seconds": time.perf_counter() - self._started,
            "images_per_second": self._images_in(epoch) / self.seconds,
        }
        self.history.append(metrics)
        self._on_epoch(epoch + 1, metrics)
        for name in ("loss", "val_loss"):
            if not math.isfinite(metrics[name]):
                raise Diverged(f"diverged: {name} is {metrics[name]} after epoch {epoch + 1}")


def _floats(metrics: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items()}
