"""Two phases of one training: the new layer alone, then all of them, also after an interruption in either."""

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.criterion import PLAIN, Criterion
from runback.classifier.training.fine_tuning import FineTuning
from runback.classifier.training.fit import Result, compile_model, fit
from runback.keras import epoch_report
from runback.keras.checkpointing import CheckpointPlan
from runback.runs.checkpoint import load_newest

FROZEN = 2
STEPS = 4


def dataset(n: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 150, (n, 4, 4, 1)) + 60 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "bright"))


class Phases:
    """A network with a part that was trained before, and the two phases of its training."""

    def __init__(
        self, *, frozen_epochs: int = FROZEN, criterion: Criterion = PLAIN, rate: float = 0.01
    ) -> None:
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        self.base = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Flatten(),
                keras.layers.Dense(8),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
            ],
            name="base",
        )
        image = keras.Input((4, 4, 1))
        features = keras.layers.Dropout(0.2)(self.base(image))
        self.head = keras.layers.Dense(2, activation="softmax", name="probabilities")
        network = keras.Model(image, self.head(features))
        self.criterion = criterion
        self.second = FineTuning(self.base, frozen_epochs, keras.optimizers.Adam(1e-3))
        self.model = compile_model(network, None, keras.optimizers.Adam(rate), criterion, self.second)

    def train(self, **options: Any) -> Result:
        settings: dict[str, Any] = {"epochs": 5, "batch_size": 16, "seed": 1, "on_epoch": lambda *_: None}
        settings |= {"criterion": self.criterion, "fine_tuning": self.second, **options}
        return fit(self.model, dataset(16 * STEPS, 0), dataset(40, 1), **settings)

    def bits(self) -> list[bytes]:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        return [variable.numpy().tobytes() for variable in variables]


def weights(layer: keras.Layer) -> np.ndarray:
    return np.concatenate([weight.numpy().ravel() for weight in layer.weights])


def test_the_base_stays_as_it_is_while_it_is_frozen_and_moves_afterwards() -> None:
    phases = Phases()
    before = weights(phases.base)
    seen: list[tuple[bool, np.ndarray]] = []

    def on_epoch(*_: Any) -> None:
        seen.append((np.array_equal(weights(phases.base), before), weights(phases.head)))

    phases.train(on_epoch=on_epoch)
    assert [is_same for is_same, _ in seen] == [True, True, False, False, False]
    heads = [head for _, head in seen]
    assert all(not np.array_equal(one, other) for one, other in pairwise(heads))


def test_each_phase_has_its_own_learning_rate() -> None:
    rates = [row["learning_rate"] for row in Phases().train().history]
    assert rates == pytest.approx([0.01, 0.01, 1e-3, 1e-3, 1e-3])


def test_batch_statistics_stay_those_that_came_with_the_weights() -> None:
    phases = Phases()
    norm = next(one for one in phases.base.layers if isinstance(one, keras.layers.BatchNormalization))
    before = weights(norm)
    phases.train()
    np.testing.assert_array_equal(weights(norm), before)
    images = dataset(8, 2).images
    np.testing.assert_array_equal(phases.base(images, training=True), phases.base(images, training=False))


def test_without_frozen_epochs_all_is_trained_from_the_first_on() -> None:
    phases = Phases(frozen_epochs=0)
    before = weights(phases.base)
    result = phases.train(epochs=1)
    assert result.history[0]["learning_rate"] == pytest.approx(1e-3)
    assert not np.array_equal(weights(phases.base), before)


def test_a_training_shorter_than_the_first_phase_never_begins_the_second() -> None:
    phases = Phases(frozen_epochs=9)
    before = weights(phases.base)
    phases.train()
    np.testing.assert_array_equal(weights(phases.base), before)


def test_patience_begins_with_the_second_phase() -> None:
    phases = Phases(frozen_epochs=6, rate=1e-30)  # nothing improves
    result = phases.train(epochs=20, patience=2, monitor="val_loss", maximize=False)
    assert len(result.history) > 6
    losses = [row["val_loss"] for row in result.history]
    assert result.metrics["val_loss"] == min(losses)


def stop_at(epoch: int, batch: int) -> Any:
    """Return an OnBatch that interrupts the training in this epoch, from 1, before this batch, from 1."""

    def on_batch(now: int, images: int, _: Any) -> None:
        if (now, images) == (epoch, 16 * batch):
            os.kill(os.getpid(), signal.SIGINT)

    return on_batch


@pytest.mark.parametrize(
    ("epoch", "batch", "patience"),
    [
        (FROZEN, 3, 2),  # in the first phase
        (FROZEN + 1, 1, None),  # at the beginning of the second
        (FROZEN + 2, 2, 2),  # well inside the second
    ],
)
def test_interrupted_in_either_phase_it_ends_with_the_same_bits(
    epoch: int, batch: int, patience: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_report, "BATCH_INTERVAL", 0.0)
    criterion = Criterion(0.1, (1.0, 2.0), macro_f1=True)
    options = {"patience": patience, "monitor": "val_macro_f1"}
    whole = Phases(criterion=criterion)
    expected = whole.train(**options)
    with pytest.raises(KeyboardInterrupt):
        Phases(criterion=criterion).train(
            **options, checkpoints=CheckpointPlan(tmp_path, 0), on_batch=stop_at(epoch, batch)
        )
    start = load_newest(tmp_path)
    assert start is not None
    assert (start.epoch, start.step) == (epoch - 1, batch)
    resumed = Phases(criterion=criterion)
    again = resumed.train(**options, resume_from=start)
    assert resumed.bits() == whole.bits()
    names = ("loss", "accuracy", "macro_f1", "val_loss", "val_macro_f1", "learning_rate")
    for row, other in zip(again.history, expected.history, strict=True):
        assert [row[name] for name in names] == [other[name] for name in names]


@pytest.mark.parametrize("epoch", [FROZEN, FROZEN + 1])
def test_resumed_from_the_end_of_an_epoch_it_ends_with_the_same_bits(epoch: int, tmp_path: Path) -> None:
    whole = Phases()
    whole.train()

    def stop(step: int, _: Any) -> None:
        if step == epoch:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Phases().train(checkpoints=CheckpointPlan(tmp_path, 0), on_epoch=stop)
    start = load_newest(tmp_path)
    assert start is not None
    assert (start.epoch, start.step) == (epoch, 0)
    resumed = Phases()
    resumed.train(resume_from=start)
    assert resumed.bits() == whole.bits()
