import errno
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.fit import Result, compile_model, fit
from runback.errors import DiskFull, InputError, Stopped, TrialPruned
from runback.keras import checkpointing
from runback.keras.checkpointing import CheckpointPlan, expected_seconds
from runback.runs.checkpoint import load_newest
from runback.system.stop_signals import stop_on_signals


def dataset(n: int) -> Dataset:
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 100, (n, 4, 4, 1)) + 50 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "bright"))


def small_model(width: int = 4) -> keras.Model:
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(width),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(2, activation="softmax"),
    ]
    return compile_model(keras.Sequential(layers), None, keras.optimizers.Adam(0.01))


def train(model: keras.Model, folder: Path | None = None, every: int | None = 1, **options: Any) -> Result:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 8, "seed": 1, "on_epoch": lambda *_: None}
    plan = None if folder is None else CheckpointPlan(folder, every)
    return fit(model, dataset(40), dataset(20), **{**settings, "checkpoints": plan, **options})


def bits(model: keras.Model, result: Result) -> tuple[list[bytes], list[list[float]]]:
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    values = [variable.numpy().tobytes() for variable in [*model.variables, *model.optimizer.variables]]
    return values, [[row[name] for name in names] for row in result.history]


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (1, ["checkpoint-00003-0000000.npz", "checkpoint-00004-0000000.npz"]),
        (3, ["checkpoint-00003-0000000.npz"]),
        (0, []),
        (None, []),  # it is over in a second
    ],
)
def test_checkpoints_are_made_as_planned(tmp_path: Path, every: int | None, expected: list[str]) -> None:
    train(small_model(), tmp_path / "checkpoints", every)
    assert saved(tmp_path / "checkpoints") == expected


def test_without_a_plan_a_training_that_is_worth_it_makes_one_each_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointing, "WORTHWHILE", 0.0)
    train(small_model(), tmp_path, None)
    assert saved(tmp_path) == ["checkpoint-00003-0000000.npz", "checkpoint-00004-0000000.npz"]


def test_the_first_epochs_graph_does_not_make_a_training_look_long() -> None:
    rows = [{"epoch_seconds": seconds} for seconds in (5.0, 1.0, 3.0)]
    assert expected_seconds(rows, 10) == 5 + 9 * 2
    assert expected_seconds(rows[:1], 10) == 50


def test_an_epoch_is_reported_before_its_checkpoint(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    train(small_model(), tmp_path, on_epoch=lambda *_: seen.append(saved(tmp_path)))
    assert seen[:2] == [[], ["checkpoint-00001-0000000.npz"]]


@pytest.mark.parametrize("stops_at", [2, 3])
def test_a_training_that_is_stopped_early_at_a_pause_comes_to_its_end(tmp_path: Path, stops_at: int) -> None:
    """The sweep wants a pause after epoch 2; there, or one later, the patience is at its end."""

    class Paused(BaseException):
        pass

    def pause() -> None:
        raise Paused

    steps: list[int] = []
    plan = CheckpointPlan(tmp_path, 0, lambda: len(steps) == 2, pause)
    options: dict[str, Any] = {"on_epoch": lambda step, _: steps.append(step), "checkpoints": plan}
    model = small_model()
    model.optimizer.learning_rate = 0.0  # nothing gets better after the first epoch
    if stops_at == 2:
        assert train(model, epochs=9, patience=1, **options).epochs == 2
        assert saved(tmp_path) == []
    else:
        with pytest.raises(Paused):
            train(model, epochs=9, patience=2, **options)
        assert saved(tmp_path) == ["checkpoint-00002-0000000.npz"]


def test_a_pruned_epoch_leaves_no_checkpoint(tmp_path: Path) -> None:
    def prune(step: int, metrics: dict[str, float]) -> None:
        if step == 2:
            raise TrialPruned("enough")

    with pytest.raises(TrialPruned):
        train(small_model(), tmp_path, on_epoch=prune)
    assert saved(tmp_path) == ["checkpoint-00001-0000000.npz"]


def raising(number: int) -> Callable[[int], None]:
    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    return fsync


def test_a_full_disk_ends_the_training_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", raising(errno.ENOSPC))
    with pytest.raises(DiskFull, match="the disk is full: cannot write a checkpoint in"):
        train(small_model(), tmp_path)
    assert saved(tmp_path) == []


def test_a_disk_that_fails_costs_the_checkpoint_and_not_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    alone = small_model()
    expected = bits(alone, train(alone))
    monkeypatch.setattr(os, "fsync", raising(errno.EIO))
    model = small_model()
    assert bits(model, train(model, tmp_path)) == expected
    assert saved(tmp_path) == []
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            f"cannot write the checkpoint of epoch {epoch}, step 0 in {tmp_path}: Input/output error",
        )
        for epoch in (1, 2, 3, 4)
    ]


def send_at(step: int, *signums: signal.Signals) -> Any:
    def on_epoch(completed: int, metrics: dict[str, float]) -> None:
        if completed == step:
            for signum in signums:
                os.kill(os.getpid(), signum)

    return on_epoch


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_between_two_epochs_stops_with_a_checkpoint(tmp_path: Path, signum: signal.Signals) -> None:
    with stop_on_signals(), pytest.raises(Stopped) as caught:
        train(small_model(), tmp_path, 0, on_epoch=send_at(2, signum))
    assert (caught.value.reason, caught.value.exit_code) == (f"stopped by {signum.name}", 128 + signum)
    assert saved(tmp_path) == ["checkpoint-00002-0000000.npz"]


def test_control_c_stops_with_a_checkpoint_and_a_second_one_without(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(small_model(), tmp_path / "once", 0, on_epoch=send_at(2, signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(small_model(), tmp_path / "twice", 0, on_epoch=send_at(2, signal.SIGINT, signal.SIGINT))
    assert saved(tmp_path / "once") == ["checkpoint-00002-0000000.npz"]
    assert saved(tmp_path / "twice") == []


def test_without_checkpoints_a_signal_ends_the_training_at_once() -> None:
    done = []

    def on_epoch(step: int, metrics: dict[str, float]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append("too much")

    with pytest.raises(KeyboardInterrupt):
        train(small_model(), on_epoch=on_epoch)
    assert done == []


def test_a_training_resumed_in_the_same_process_ends_with_the_same_bits(tmp_path: Path) -> None:
    alone = small_model()
    expected = bits(alone, train(alone))
    with pytest.raises(KeyboardInterrupt):
        train(small_model(), tmp_path, 0, on_epoch=send_at(2, signal.SIGINT))
    model = small_model()
    epochs: list[int] = []
    result = train(model, resume_from=load_newest(tmp_path), on_epoch=lambda step, _: epochs.append(step))
    assert epochs == [3, 4]
    assert bits(model, result) == expected


def test_a_flipped_bit_in_the_newest_costs_an_epoch_and_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = small_model()
    expected = bits(alone, train(alone, tmp_path))
    newest = tmp_path / "checkpoint-00004-0000000.npz"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    model = small_model()
    assert bits(model, train(model, tmp_path, resume_from=load_newest(tmp_path))) == expected
    assert "falling back to the one before, checkpoint-00003-0000000.npz" in caplog.text


def test_a_checkpoint_of_a_longer_training_is_refused(tmp_path: Path) -> None:
    train(small_model(), tmp_path)
    with pytest.raises(InputError, match="after 4 epochs and 0 steps; this training has 2 epochs of 5 steps"):
        train(small_model(), epochs=2, resume_from=load_newest(tmp_path))
