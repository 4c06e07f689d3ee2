"""Trains a small network on one virtual device, on two, twice on two, and on two with an interruption.

Prints a line of JSON: of each training the history, the weights' hash and their sum, and the hash of the
validation's predictions. Given `train ARGUMENT…`, it is `runback train` on so many devices as DEVICES says.
"""

import hashlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import tensorflow as tf

from runback.classifier.training import mirroring

DEVICES = int(os.environ.get("DEVICES", "2"))
AUGMENTED = [{"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": 1}]


def virtual_devices() -> None:
    """Let the processor be so many devices, and the GPUs of this machine be these."""
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * DEVICES)
    mirroring.local_devices = lambda: [f"CPU:{number}" for number in range(DEVICES)]


def train(distribution: str | None, *, layers: Any = (), dropout: float = 0.0, stop: bool = False) -> Any:
    import keras
    import numpy as np

    from runback.classifier.augmentation import alternating_flip
    from runback.classifier.augmentation.stack import build_stack
    from runback.classifier.data.dataset import Dataset
    from runback.classifier.train_config import TrainingConfig
    from runback.classifier.training.fit import compile_model, fit
    from runback.classifier.training.predictions import ValidationPredictions
    from runback.errors import Stopped
    from runback.keras.checkpointing import CheckpointPlan
    from runback.keras.seeding import seed_everything
    from runback.runs.checkpoint import load_newest

    chance = np.random.default_rng(0)
    labels = chance.integers(0, 2, 300)
    images = (chance.integers(0, 100, (300, 8, 8, 1)) + 60 * labels[:, None, None, None]).astype("uint8")
    data = [Dataset(images[cut], labels[cut], ("dark", "bright")) for cut in (slice(110), slice(110, 300))]

    def model() -> keras.Model:
        keras.backend.clear_session(free_memory=False)
        seed_everything(1, 1)
        options = TrainingConfig(batch_size=16, distribution=distribution)
        with mirroring.strategy_of(options, *map(len, data)).scope():
            network = keras.Sequential(
                [
                    keras.Input((8, 8, 1)),
                    keras.layers.Rescaling(1 / 255),
                    keras.layers.Flatten(),
                    keras.layers.Dense(8, activation="relu"),
                    keras.layers.Dropout(dropout, seed=1),
                    keras.layers.Dense(2, activation="softmax"),
                ]
            )
            augmentation = build_stack(layers, (8, 8, 1), seed=1)
            optimizer = keras.optimizers.Adam(0.01, use_ema=True)
        return compile_model(network, augmentation, optimizer)

    def fitted(built: keras.Model, folder: Path) -> Any:
        predictions = ValidationPredictions(built, data[1], 16)
        start = load_newest(folder)
        with predictions.keeping():
            result = fit(
                built, *data, epochs=2, batch_size=16, seed=1, on_epoch=lambda *_: None,
                checkpoints=CheckpointPlan(folder, 0), resume_from=start,
            )  # fmt: skip
        return result, predictions

    with tempfile.TemporaryDirectory() as name:
        if stop:
            begin = alternating_flip.PassBeginning.on_train_batch_begin

            def kill(self: Any, batch: int, logs: Any = None) -> None:
                begin(self, batch, logs)
                if self._first and batch == 4:
                    os.kill(os.getpid(), signal.SIGTERM)

            alternating_flip.PassBeginning.on_train_batch_begin = kill
            try:
                fitted(model(), Path(name))
                raise SystemExit("the signal has not stopped the training")
            except Stopped:
                alternating_flip.PassBeginning.on_train_batch_begin = begin
        built = model()
        result, predictions = fitted(built, Path(name))
    weights = [weight.numpy() for weight in built.trainable_variables]
    history = [{k: v for k, v in row.items() if "second" not in k} for row in result.history]
    kept = predictions.current()
    again = built.predict(images[110:].astype("float32"), batch_size=190, verbose=0)
    return {
        "history": history,
        "hash": hashlib.sha256(b"".join(weight.tobytes() for weight in weights)).hexdigest(),
        "norm": float(sum(abs(weight).sum() for weight in weights)),
        "predictions": hashlib.sha256(kept.tobytes()).hexdigest(),
        "are_in_order": float(abs(kept - again).max()) < 1e-5,
        "devices": mirroring.n_devices(built),
    }


def stopped(*_: Any) -> None:
    from runback.errors import Stopped

    raise Stopped("stopped by a test")


if __name__ == "__main__":
    virtual_devices()
    if sys.argv[1:]:
        from runback.cli.command_line import main

        sys.exit(main())
    signal.signal(signal.SIGTERM, stopped)
    random = {"layers": AUGMENTED, "dropout": 0.3}
    found = {
        "one": train(None),
        "two": train("mirrored"),
        "random": train("mirrored", **random),
        "random again": train("mirrored", **random),
        "resumed": train("mirrored", **random, stop=True),
    }
    print(json.dumps(found))
