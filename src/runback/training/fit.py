"""Trains a network on a dataset and returns what came out."""

from dataclasses import dataclass

import keras

from runback.data.dataset import Dataset
from runback.training.batches import steps_per_epoch, training_batches, validation_batches
from runback.training.callback import EpochReport, OnBatch, OnEpoch

VALIDATION_BATCH = 256
"""Images a batch of validation holds at least: it needs no gradients, so more fit than in training."""


@dataclass(frozen=True)
class Result:
    """What a finished training leaves behind besides the weights in its model."""

    epochs: int
    """Completed epochs, those before `initial_epoch` included."""

    metrics: dict[str, float]
    """The metrics of the epoch whose weights the model holds: the last, or the best with early stopping."""

    history: list[dict[str, float]]
    """The metrics of each epoch trained in this process, in order."""


def compile_model(
    network: keras.Model, augmentation: keras.Sequential | None, optimizer: keras.optimizers.Optimizer
) -> keras.Model:
    """Return the model to train: `augmentation` in front of `network`, whose weights it shares.

    Without an augmentation that is the network itself.
    """
    model = network if augmentation is None else _in_front(augmentation, network)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,  # six times slower on CPUs, and not every augmentation compiles
    )
    return model


def fit(
    model: keras.Model,
    train: Dataset,
    validation: Dataset,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    on_epoch: OnEpoch,
    on_batch: OnBatch | None = None,
    patience: int | None = None,
    monitor: str = "val_accuracy",
    maximize: bool = True,
    initial_epoch: int = 0,
) -> Result:
    """Train `model` from epoch `initial_epoch` to `epochs`, validating after each.

    `seed` decides the order of the batches. `on_epoch` gets the number of completed epochs and the metrics
    loss, accuracy, val_loss, val_accuracy, learning_rate, epoch_seconds and images_per_second; what it
    raises ends the training and comes out of here. `on_batch` is called at most ten times a second.
    With `patience`, training ends after that many epochs without a better `monitor`, and the model gets the
    weights of the best epoch back. Raises TrainingError when the loss is no longer finite.
    """
    report = EpochReport(len(train), batch_size, on_epoch, on_batch)
    stopping = _early_stopping(patience, monitor, maximize)
    model.fit(
        training_batches(train, batch_size, seed=seed, epochs=epochs, initial_epoch=initial_epoch),
        steps_per_epoch=steps_per_epoch(len(train), batch_size),
        validation_data=validation_batches(validation, max(batch_size, VALIDATION_BATCH)),
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=[report, stopping] if stopping else [report],
        shuffle=False,  # the batches have their order already
        verbose=0,
    )
    held = stopping.best_epoch - initial_epoch if stopping else -1
    return Result(initial_epoch + len(report.history), report.history[held], report.history)


def _in_front(augmentation: keras.Sequential, network: keras.Model) -> keras.Model:
    image = keras.Input(network.input_shape[1:], dtype="float32", name="image")
    return keras.Model(image, network(augmentation(image)), name=f"augmented_{network.name}")


def _early_stopping(
    patience: int | None, monitor: str, maximize: bool
) -> keras.callbacks.EarlyStopping | None:
    if patience is None:
        return None
    mode = "max" if maximize else "min"
    return keras.callbacks.EarlyStopping(monitor, patience=patience, mode=mode, restore_best_weights=True)
