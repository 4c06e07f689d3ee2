"""Makes checkpoints while a network trains."""

import contextlib
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras

from runback.errors import DiskFull
from runback.keras.averaged_weights import AveragedWeights
from runback.keras.epoch_report import EpochReport
from runback.keras.keras_internals import best_weights, stopping_state
from runback.keras.training_state import metric_values, model_state
from runback.runs.checkpoint import Checkpoint, Variable, save
from runback.system.files.full_disk import is_full
from runback.system.stop_signals import HeldSignals, held_signals

WORTHWHILE = 60.0
"""Seconds of training below which a lost one is sooner trained again than thought about."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointPlan:
    """The folder of checkpoints, and their times: when a signal stops the training, and after some epochs."""

    folder: Path

    every: int | None = None
    """Epochs from one to the next, 0 for none; None: 1 if the training is going to take over a minute."""

    is_pausing: Callable[[], bool] = lambda: False
    """Tells after an epoch whether the training is to pause, with a checkpoint; `pause` then ends it."""
    pause: Callable[[], None] = lambda: None


@contextlib.contextmanager
def checkpointing(
    plan: CheckpointPlan | None,
    start: Checkpoint,
    report: EpochReport,
    stopping: keras.callbacks.EarlyStopping | None,
    averages: AveragedWeights,
    *,
    epochs: int,
    steps: int,
) -> Iterator[list[keras.callbacks.Callback]]:
    """Give the callbacks that carry out `plan`, and hold signals back meanwhile; without a plan neither.

    `epochs` is how many the training has in all, `steps` how many steps an epoch.
    """
    if plan is None:
        yield []
        return
    with held_signals() as signals:
        yield [Checkpoints(plan, signals, start, report, stopping, averages, epochs=epochs, steps=steps)]


class Checkpoints(keras.callbacks.Callback):
    """Writes the checkpoints of a plan, and ends the training after the running step when a signal waits.

    Comes after `report` and `stopping` in the list of callbacks: it saves their state too. A checkpoint that
    cannot be written is a warning; where the disk is full, DiskFull ends the training.
    """

    def __init__(
        self,
        plan: CheckpointPlan,
        signals: HeldSignals,
        start: Checkpoint,
        report: EpochReport,
        stopping: keras.callbacks.EarlyStopping | None,
        averages: AveragedWeights,
        *,
        epochs: int,
        steps: int,
    ) -> None:
        super().__init__()
        self._plan, self._signals, self._report, self._stopping = plan, signals, report, stopping
        self._averages = averages
        self._epochs, self._steps = epochs, steps
        self._first = (start.epoch, start.step)
        self._newest = start.path
        self._metrics: list[Variable] = []

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop before this batch if a signal waits."""
        if self._signals.waiting and (len(self._report.history), batch) >= self._first:
            self._metrics = metric_values(self.model)
            self._stop(batch)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Keep what the metrics have gathered in training: validation begins with a reset."""
        self._metrics = metric_values(self.model)

    def on_test_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Stop in the middle of a validation if a signal waits; it is done again from its beginning."""
        if self._signals.waiting:
            self._stop(self._steps)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write a checkpoint if it is time for one; stop if a signal waits."""
        if self._signals.waiting:
            self._stop(0)
        elif self._plan.is_pausing() and not self.model.stop_training:  # else it is at its end
            self._write(0)
            self._plan.pause()
        elif self._is_due(epoch + 1):
            self._write(0)

    def _is_due(self, epochs: int) -> bool:
        if self._plan.every is None:
            return expected_seconds(self._report.history, self._epochs) > WORTHWHILE
        return self._plan.every > 0 and epochs % self._plan.every == 0

    def _stop(self, step: int) -> None:
        self._write(step)
        self._signals.deliver()

    def _write(self, step: int) -> None:
        checkpoint = self._checkpoint(step)
        try:
            self._newest = save(self._plan.folder, checkpoint, keep=self._newest)
        except OSError as error:
            if is_full(error):
                raise DiskFull(
                    f"the disk is full: cannot write a checkpoint in {self._plan.folder}"
                ) from error
            _logger.warning(
                "cannot write the checkpoint of epoch %d, step %d in %s: %s",
                checkpoint.epoch,
                step,
                self._plan.folder,
                error.strerror or error,
            )

    def _checkpoint(self, step: int) -> Checkpoint:
        self._averages.put_back()
        variables = model_state(self.model)
        stopping = None
        if self._stopping is not None:
            stopping = stopping_state(self._stopping)
            paths = [weight.path for weight in self.model.weights]
            variables["best"] = [*map(Variable, paths, best_weights(self._stopping))]
        if step:
            variables["metrics"] = self._metrics
        return Checkpoint(
            epoch=len(self._report.history),
            step=step,
            history=self._report.history,
            variables=variables,
            learning_rate=self._report.learning_rate if step else math.nan,
            seconds=self._report.seconds if step else 0.0,
            stopping=stopping,
        )


def expected_seconds(history: list[dict[str, float]], epochs: int) -> float:
    """Return how long a training of `epochs` epochs takes in all, going by those in `history`.

    The first epoch, in which TensorFlow builds its graph, says little about the others.
    """
    seconds = [row["epoch_seconds"] for row in history]
    later = seconds[1:] or seconds
    return seconds[0] + sum(later) / len(later) * (epochs - 1)
