"""Trainings whose optimizer averages the weights: the averages are what is measured and kept."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.fit import Result, compile_model, fit
from runback.keras.checkpointing import CheckpointPlan
from runback.runs.checkpoint import load_newest


def dataset(n: int) -> Dataset:
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 180, (n, 4, 4, 1)) + 75 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "bright"))


def model_of(optimizer: keras.optimizers.Optimizer) -> keras.Model:
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((4, 4, 1), dtype="float32"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    return compile_model(network, None, optimizer)


def sgd(rate: float = 0.1, *, use_ema: bool = True) -> keras.optimizers.Optimizer:
    return keras.optimizers.SGD(rate, use_ema=use_ema, ema_momentum=0.9)


def train(model: keras.Model, **options: Any) -> Result:
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 10, "on_epoch": lambda step, metrics: None}
    return fit(model, dataset(100), dataset(60), seed=1, **{**settings, **options})


def validation_loss(model: keras.Model) -> float:
    probabilities = np.asarray(model(dataset(60).images))
    return float(-np.mean(np.log(probabilities[np.arange(60), dataset(60).labels])))


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_what_is_measured_is_what_is_kept(kind: str) -> None:
    model = model_of(getattr(keras.optimizers, kind)(0.05, use_ema=True))
    assert train(model).metrics["val_loss"] == pytest.approx(validation_loss(model), rel=1e-5)


def test_the_kept_weights_are_the_moving_average_of_those_after_each_step() -> None:
    plain, seen = model_of(sgd(use_ema=False)), []
    train(
        plain,
        epochs=6,
        batch_size=100,  # one step an epoch
        on_epoch=lambda step, metrics: seen.append(plain.get_weights()),
    )
    averages = seen[0]
    for weights in seen[1:]:
        averages = [0.9 * a + 0.1 * w for a, w in zip(averages, weights, strict=True)]
    averaged = model_of(sgd())
    train(averaged, epochs=6, batch_size=100)
    for weight, average, last in zip(averaged.get_weights(), averages, seen[-1], strict=True):
        np.testing.assert_allclose(weight, average, atol=1e-6)
        assert not np.allclose(weight, last, atol=1e-4)


def test_it_trains_on_with_the_weights_and_not_with_their_averages() -> None:
    plain, averaged = train(model_of(sgd(use_ema=False))), train(model_of(sgd()))
    assert [row["loss"] for row in averaged.history] == [row["loss"] for row in plain.history]
    assert [row["val_loss"] for row in averaged.history] != [row["val_loss"] for row in plain.history]


def test_early_stopping_returns_to_the_averages_of_the_best_epoch() -> None:
    steps = 10
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([4 * steps], [0.1, 30.0])
    model = model_of(keras.optimizers.SGD(schedule, use_ema=True, ema_momentum=0.5))
    result = train(model, epochs=30, patience=2, monitor="val_loss", maximize=False)
    assert result.kept_epoch < result.epochs < 30
    assert validation_loss(model) == pytest.approx(result.metrics["val_loss"], rel=1e-4)


def test_a_checkpoint_holds_the_weights_besides_their_averages(tmp_path: Path) -> None:
    plain, model = model_of(sgd(use_ema=False)), model_of(sgd())
    train(plain)
    train(model, checkpoints=CheckpointPlan(tmp_path, every=1))
    checkpoint = load_newest(tmp_path)
    assert checkpoint is not None
    saved = [variable.value for variable in checkpoint.variables["model"]]
    for weight, expected, average in zip(saved, plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
        assert not np.array_equal(weight, average)
