"""Trains small networks in processes of their own, for tests that stop and kill them.

Reads one training's options (JSON) a line from standard input, forks a process for it, and answers with its
`pid`, then with its exit `code`. All start from the same imports, so each takes a second, not ten.
"""

import contextlib
import hashlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import keras
import numpy as np

from runback.classifier.augmentation.stack import build_stack
from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import steps_per_pass
from runback.classifier.training.fit import Result, compile_model, fit
from runback.classifier.training.schedule import cosine, one_cycle
from runback.errors import Stopped
from runback.keras.checkpointing import CheckpointPlan
from runback.keras.seeding import seed_everything
from runback.runs.checkpoint import load_newest
from runback.system.stop_signals import stop_on_signals

SHAPE = (8, 8, 1)
BATCH = 16
AUGMENTATION = [
    {"_target_": "keras.layers.RandomFlip"},
    {"_target_": "keras.layers.RandomRotation", "factor": 0.1},
    {"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": 1},
    {
        "_target_": "runback.classifier.augmentation.random_affine.RandomAffine",
        **{"rotation": 0.1, "width_shift": 0.1, "height_zoom": 0.1, "horizontal_flip": True},
    },
]
STRONG_AUGMENTATION = [
    {"_target_": "runback.classifier.augmentation.alternating_flip.AlternatingFlip"},
    {"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": 1},
]
TIMES = ("epoch_seconds", "images_per_second")


def dataset(n: int) -> Dataset:
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 180, (n, *SHAPE)) + 75 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "bright"))


def network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(SHAPE, dtype="float32"),
            keras.layers.Rescaling(1 / 255, dtype="float32"),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Activation("relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax", dtype="float32"),
        ]
    )


def optimizer(options: dict[str, Any]) -> keras.optimizers.Optimizer:
    if options.get("ruinous"):  # the rate jumps from useful to ruinous after five epochs
        steps = 5 * steps_per_pass(options["n"], BATCH)
        rate = keras.optimizers.schedules.PiecewiseConstantDecay([steps], [0.01, 3.0])
        return keras.optimizers.SGD(rate, momentum=0.9)
    length = (options["epochs"], options.get("steps_per_epoch") or steps_per_pass(options["n"], BATCH))
    if options.get("strong"):
        return keras.optimizers.SGD(
            one_cycle(0.05, *length), 0.9, nesterov=True, use_ema=True, ema_momentum=0.9
        )
    return keras.optimizers.Adam(cosine(0.01, *length))


def signal_self(model: keras.Model, *, name: str, call: int, phase: str) -> None:
    """Send this process a signal in the `call`-th (from 0) step of training or validation."""
    getattr(model, f"make_{phase}_function")()
    run = getattr(model, f"{phase}_function")
    calls = 0

    def counted(batches: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call + 1:
            os.kill(os.getpid(), signal.Signals[name])
        return run(batches)

    setattr(model, f"{phase}_function", counted)


def die_at_flush(number: int) -> None:
    """Kill this process with SIGKILL when it flushes for the `number`-th (from 0) time."""
    flush, calls = os.fsync, 0

    def counted(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(descriptor)

    os.fsync = counted


def train(options: dict[str, Any]) -> Result:
    keras.config.set_dtype_policy(options.get("precision", "float32"))
    seed_everything(5, 2)
    layers = STRONG_AUGMENTATION if options.get("strong") else AUGMENTATION
    model = compile_model(network(), build_stack(layers, SHAPE, seed=5), optimizer(options))
    if "signal" in options:
        signal_self(model, **options["signal"])
    if "die_at_flush" in options:
        die_at_flush(options["die_at_flush"])
    folder = Path(options["folder"])
    with stop_on_signals():
        result = fit(
            model,
            dataset(options["n"]),
            dataset(300),
            epochs=options["epochs"],
            batch_size=BATCH,
            steps_per_epoch=options.get("steps_per_epoch"),
            seed=5,
            on_epoch=lambda step, metrics: print("epoch", step, flush=True),
            patience=options.get("patience"),
            monitor="val_loss",
            maximize=False,
            checkpoints=CheckpointPlan(folder, every=options.get("every", 1)),
            resume_from=load_newest(folder),
        )
    (folder / "result.json").write_text(json.dumps(summary(model, result)))
    return result


def summary(model: keras.Model, result: Result) -> dict[str, Any]:
    """Return all that must be the same to the bit, and the times, which must make sense only."""
    digest = hashlib.sha256()
    for variable in [*model.variables, *model.optimizer.variables]:
        digest.update(variable.numpy().tobytes())
    rows = [{k: v.hex() for k, v in row.items() if k not in TIMES} for row in result.history]
    kept = {name: value for name, value in result.metrics.items() if name not in TIMES}
    times = [[row[name] for name in TIMES] for row in result.history]
    return {"bits": [digest.hexdigest(), result.epochs, rows, kept], "times": times}


def forked(options: dict[str, Any]) -> int:
    Path(options["folder"]).mkdir(exist_ok=True)
    log = os.open(Path(options["folder"]) / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        train(options)
    except Stopped as stop:
        print(stop.reason)
        return stop.exit_code
    except KeyboardInterrupt:
        print("Ctrl-C")
        return 130
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = forked(json.loads(line))
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(code)
        print(json.dumps({"pid": pid}), flush=True)
        print(json.dumps({"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}), flush=True)


if __name__ == "__main__":
    main()
