"""The task as one writes it in plain Keras, for the scripts of peers: its data, network and tracking.

float32, tf.data, and MLflow's fluent calls: a run for each trial, its params, and the metrics of each epoch.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import tensorflow as tf

OPTIMIZERS = ("sgd", "adam", "rmsprop")
LEARNING_RATES = (1e-4, 1e-1)
BATCH_SIZES = (32, 64, 128, 256)
MOST_CONV_DROPOUT = 0.5
MOST_DENSE_DROPOUT = 0.7
"""The search space."""

VALIDATION_BATCH = 256


@dataclass(frozen=True)
class Job:
    """A search, of which this process is one of the workers: `SCRIPT JOB WORKER`."""

    worker: str
    folder: Path
    """The folder of everything that is written."""
    images: str
    """A file of arrays: train, train_labels, validation, validation_labels."""
    n_trials: int
    n_epochs: int
    seed: int
    threads: int
    """Threads of TensorFlow in each worker."""

    @classmethod
    def read(cls) -> "Job":
        """Read the job that the command line names, and give this process its threads and its MLflow."""
        file, worker = Path(sys.argv[1]), sys.argv[2]
        job = cls(worker=worker, folder=file.parent, **json.loads(file.read_text("utf-8")))
        tf.config.threading.set_intra_op_parallelism_threads(job.threads)
        mlflow.set_experiment("search")
        return job


@dataclass(frozen=True)
class Images:
    """Images with values from 0 to 1, and their labels."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]

    @classmethod
    def read(cls, file: str) -> "Images":
        """Read the arrays of a job."""
        with np.load(file) as arrays:
            train, validation = (
                (arrays[split].astype("float32") / 255, arrays[f"{split}_labels"])
                for split in ("train", "validation")
            )
        return cls(train, validation)

    def training_batches(self, batch_size: int) -> tf.data.Dataset:
        """Return the training images in batches, in another order each epoch."""
        images = tf.data.Dataset.from_tensor_slices(self.train)
        return images.shuffle(len(self.train[1])).batch(batch_size).prefetch(tf.data.AUTOTUNE)

    def validation_batches(self) -> tf.data.Dataset:
        """Return the validation images in batches."""
        images = tf.data.Dataset.from_tensor_slices(self.validation)
        return images.batch(VALIDATION_BATCH).prefetch(tf.data.AUTOTUNE)

    def model(
        self, optimizer: str, learning_rate: float, conv_dropout: float, dense_dropout: float
    ) -> keras.Model:
        """Return Keras' classic cifar10_cnn, that of `conf/model/deep_cnn.yaml`, compiled."""
        layers = keras.layers
        network = keras.Sequential(
            [
                keras.Input(self.train[0].shape[1:]),
                layers.Conv2D(32, 3, padding="same", activation="relu"),
                layers.Conv2D(32, 3, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Dropout(conv_dropout),
                layers.Conv2D(64, 3, padding="same", activation="relu"),
                layers.Conv2D(64, 3, padding="valid", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Dropout(conv_dropout),
                layers.Flatten(),
                layers.Dense(512, activation="relu"),
                layers.Dropout(dense_dropout),
                layers.Dense(int(self.train[1].max()) + 1, activation="softmax"),
            ]
        )
        network.compile(
            _optimizer(optimizer, learning_rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return network


def _optimizer(name: str, learning_rate: float) -> keras.optimizers.Optimizer:
    """Return an optimizer as the file of `conf/optimizer/` has it."""
    if name == "sgd":
        return keras.optimizers.SGD(learning_rate, momentum=0.9, nesterov=True)
    return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[name](learning_rate)


def tracking() -> keras.callbacks.Callback:
    """Return a callback that logs the metrics of each epoch to the active run."""
    return keras.callbacks.LambdaCallback(on_epoch_end=_log)


def _log(epoch: int, logs: dict[str, Any]) -> None:
    mlflow.log_metrics({name: float(value) for name, value in logs.items()}, step=epoch + 1)
