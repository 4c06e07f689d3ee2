"""Trains a network on a dataset and returns what came out."""

import contextlib
from dataclasses import dataclass
from typing import Any

import keras

from runback.classifier.augmentation.alternating_flip import PassBeginning
from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import (
    images_before,
    naming_unread_images,
    steps_per_pass,
    training_batches,
    validation_batch,
    validation_batches,
)
from runback.classifier.training.criterion import PLAIN, Criterion
from runback.classifier.training.fine_tuning import FineTuning, FineTuningStart
from runback.classifier.training.mirroring import divided, n_devices, spread_seeds
from runback.errors import InputError
from runback.keras.averaged_weights import AveragedWeights
from runback.keras.checkpointing import CheckpointPlan, checkpointing
from runback.keras.epoch_report import EpochReport, OnBatch, OnEpoch
from runback.keras.resumption import Resumption, has_stopped
from runback.keras.training_state import Checkpoint, build_optimizer, restore


@dataclass(frozen=True)
class Result:
    """The outcome of a finished training besides the weights in its model."""

    epochs: int
    """Completed epochs, those before a resume included."""

    kept_epoch: int
    """The one whose weights the model holds, from 1: the best with early stopping, else the last."""

    metrics: dict[str, float]
    """The metrics of that epoch."""

    history: list[dict[str, float]]
    """The metrics of each completed epoch, in order."""


def compile_model(
    network: keras.Model,
    augmentation: keras.Sequential | None,
    optimizer: keras.optimizers.Optimizer,
    criterion: Criterion = PLAIN,
    fine_tuning: FineTuning | None = None,
) -> keras.Model:
    """Return the model to train: `augmentation` in front of `network`, whose weights it shares.

    Without an augmentation that is the network itself. With `fine_tuning`, a part of it is frozen.
    """
    model = network if augmentation is None else _in_front(augmentation, network)
    if fine_tuning is not None:
        fine_tuning.base.trainable = False
    criterion.compile(model, optimizer)
    return model


def fit(
    model: keras.Model,
    train: Dataset,
    validation: Dataset,
    *,
    epochs: int,
    batch_size: int,
    steps_per_epoch: int | None = None,
    seed: int,
    on_epoch: OnEpoch,
    on_batch: OnBatch | None = None,
    patience: int | None = None,
    monitor: str = "val_accuracy",
    maximize: bool = True,
    checkpoints: CheckpointPlan | None = None,
    resume_from: Checkpoint | None = None,
    last_epoch: int | None = None,
    criterion: Criterion = PLAIN,
    fine_tuning: FineTuning | None = None,
) -> Result:
    """Train `model` for `epochs` epochs, validating after each.

    An epoch is a pass through `train`, or `steps_per_epoch` batches, which go on where the epoch before has
    stopped. `seed` decides the order of the batches.

    `on_epoch` gets the number of completed epochs and the metrics loss, accuracy, val_loss, val_accuracy,
    those of `criterion` (the one that `model` was compiled with), learning_rate, epoch_seconds and
    images_per_second; what it raises ends the training and comes out of here. `on_batch` is called at most
    ten times a second.

    Where the optimizer averages weights (`use_ema`), the averages are what is validated and kept.
    With `patience`, training ends after that many epochs without a better `monitor`, and the model gets the
    weights of the best epoch back. Raises Diverged when the loss is no longer finite.

    With `checkpoints`, SIGTERM, SIGINT and SIGHUP end the training after the running step: a checkpoint is
    written, then the signal's own handler is called, and what it raises comes out of here. With
    `resume_from`, training goes on where that checkpoint was made, and ends with the bits it would have
    ended with then; given it, `epochs`, `batch_size`, `seed`, the data and the rest must be what they were.
    Raises InputError when it does not fit `model`.

    `fine_tuning` (the one that `model` was compiled with) changes what is trained, and the optimizer, after
    some epochs; patience counts from there on.

    `last_epoch` ends the training right after `on_epoch` has had that epoch, just as if it had raised: with
    that epoch's weights, even with `patience`. `epochs` still decides on schedules.
    """
    n, in_pass = len(train), steps_per_pass(len(train), batch_size)
    steps = steps_per_epoch or in_pass
    start = resume_from or Checkpoint(0, 0, [], {})
    if resume_from is not None:
        _check_length(resume_from, epochs, steps)
    restore_training(resume_from, model, criterion, fine_tuning)

    def images_in(epoch: int) -> int:
        first = epoch * steps
        return images_before(first + steps, n, batch_size) - images_before(first, n, batch_size)

    report = EpochReport(images_in, batch_size, _until(last_epoch, on_epoch), on_batch, start)
    stopping = _early_stopping(patience, monitor, maximize)
    phases = [] if fine_tuning is None else [FineTuningStart(fine_tuning, criterion, stopping, start)]
    averages = AveragedWeights()
    early = [stopping] if stopping else []
    callbacks = [
        averages,
        *phases,
        PassBeginning(steps, in_pass),
        report,
        *early,
        Resumption(start, stopping),
    ]
    with (
        contextlib.suppress(_LastEpoch),
        naming_unread_images(),
        checkpointing(checkpoints, start, report, stopping, averages, epochs=epochs, steps=steps) as saving,
    ):
        batches = training_batches(
            train,
            batch_size,
            seed=seed,
            steps=epochs * steps,
            initial_step=start.epoch * steps + start.step,
            criterion=criterion,
            parts=n_devices(model),
        )
        validating, validation_steps = validation_of(model, validation, batch_size, criterion)
        model.fit(
            divided(model, batches),
            steps_per_epoch=steps,
            validation_data=validating,
            validation_steps=validation_steps,
            epochs=start.epoch if has_stopped(start) else epochs,
            initial_epoch=start.epoch,
            callbacks=[*callbacks, *saving],
            shuffle=False,  # the batches have their order already
            verbose=0,
        )
    completed = len(report.history)
    held = completed - 1 if stopping is None or completed == last_epoch else stopping.best_epoch
    return Result(completed, held + 1, report.history[held], report.history)


def validation_of(
    model: keras.Model, validation: Dataset, batch_size: int, criterion: Criterion
) -> tuple[Any, int | None]:
    """Return the batches that `model` is validated with, and their number, None: the batches know it.

    `batch_size` is that of training.
    """
    size, devices = validation_batch(batch_size), n_devices(model)
    batches = validation_batches(validation, size, criterion=criterion, parts=devices)
    if devices == 1:
        return batches, None
    return divided(model, batches.repeat()), steps_per_pass(len(validation), size)


def restore_training(
    checkpoint: Checkpoint | None,
    model: keras.Model,
    criterion: Criterion = PLAIN,
    fine_tuning: FineTuning | None = None,
) -> None:
    """Give a compiled model, in the right phase, the values of a checkpoint; None: of a training's beginning.

    Raises InputError where the checkpoint was made from another model or optimizer.
    """
    start = checkpoint or Checkpoint(0, 0, [], {})
    if fine_tuning is not None:
        start = fine_tuning.resume(model, criterion, start)
    with model.distribute_strategy.scope():
        build_optimizer(model)
    if checkpoint is not None:
        restore(start, model)
    spread_seeds(model)


class _LastEpoch(Exception):  # noqa: N818 - no error
    """The last epoch asked for is done."""


def _until(last_epoch: int | None, on_epoch: OnEpoch) -> OnEpoch:
    def reporting(step: int, metrics: dict[str, float]) -> None:
        on_epoch(step, metrics)
        if step == last_epoch:
            raise _LastEpoch

    return reporting


def _check_length(start: Checkpoint, epochs: int, steps: int) -> None:
    if start.epoch > epochs or start.step > steps:
        raise InputError(
            f"the checkpoint was made after {start.epoch} epochs and {start.step} steps; "
            f"this training has {epochs} epochs of {steps} steps"
        )


def _in_front(augmentation: keras.Sequential, network: keras.Model) -> keras.Model:
    with network.distribute_strategy.scope():
        image = keras.Input(network.input_shape[1:], dtype="float32", name="image")
        return keras.Model(image, network(augmentation(image)), name=f"augmented_{network.name}")


def _early_stopping(
    patience: int | None, monitor: str, maximize: bool
) -> keras.callbacks.EarlyStopping | None:
    if patience is None:
        return None
    mode = "max" if maximize else "min"
    return keras.callbacks.EarlyStopping(monitor, patience=patience, mode=mode, restore_best_weights=True)
