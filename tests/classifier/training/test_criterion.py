import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.criterion import PLAIN, Criterion
from runback.classifier.training.fit import compile_model, fit
from runback.classifier.training.predictions import ValidationPredictions
from runback.keras.checkpointing import CheckpointPlan
from runback.runs.checkpoint import load_newest

K = 4


def dataset(n: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(K, n, p=[0.7, 0.15, 0.1, 0.05])
    images = rng.integers(0, 120, (n, 4, 4, 1)) + 40 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, tuple("abcd"))


TRAIN, VALIDATION = dataset(90, 0), dataset(300, 1)


def model_of(criterion: Criterion, rate: float = 0.01) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(8, activation="relu"),
        keras.layers.Dense(K, activation="softmax"),
    ]
    return compile_model(keras.Sequential(layers), None, keras.optimizers.SGD(rate), criterion)


def trained(criterion: Criterion, model: keras.Model | None = None, **options: Any) -> list[dict[str, float]]:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": len(TRAIN), "seed": 1}
    settings |= {"on_epoch": lambda step, metrics: None, **options}
    return fit(model or model_of(criterion), TRAIN, VALIDATION, criterion=criterion, **settings).history


def probabilities(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images), np.float64)


def crossentropies(model: keras.Model, data: Dataset) -> np.ndarray:
    return -np.log(probabilities(model, data.images)[np.arange(len(data)), data.labels])


def test_the_training_loss_is_weighted_and_the_validation_loss_is_not() -> None:
    weights = (0.5, 1.5, 2.0, 6.0)
    model = model_of(PLAIN)
    expected = np.mean(crossentropies(model, TRAIN) * np.array(weights)[TRAIN.labels])
    criterion = Criterion(class_weights=weights)
    model = model_of(criterion)
    first = trained(criterion, model, epochs=1)[0]
    assert first["loss"] == pytest.approx(expected, rel=1e-5)
    assert first["val_loss"] == pytest.approx(crossentropies(model, VALIDATION).mean(), rel=1e-4)


def test_the_training_loss_is_smoothed_and_the_validation_loss_is_not() -> None:
    model = model_of(PLAIN)
    logs = -np.log(probabilities(model, TRAIN.images))
    own = logs[np.arange(len(TRAIN)), TRAIN.labels]
    criterion = Criterion(label_smoothing=0.2)
    model = model_of(criterion)
    first = trained(criterion, model, epochs=1)[0]
    assert first["loss"] == pytest.approx(np.mean(0.8 * own + 0.2 * logs.mean(axis=1)), rel=1e-5)
    assert first["val_loss"] == pytest.approx(crossentropies(model, VALIDATION).mean(), rel=1e-4)


def test_smoothing_and_weights_go_together() -> None:
    weights = (0.5, 1.5, 2.0, 6.0)
    logs = -np.log(probabilities(model_of(PLAIN), TRAIN.images))
    smoothed = 0.9 * logs[np.arange(len(TRAIN)), TRAIN.labels] + 0.1 * logs.mean(axis=1)
    first = trained(Criterion(0.1, weights), epochs=1)[0]
    assert first["loss"] == pytest.approx(np.mean(smoothed * np.array(weights)[TRAIN.labels]), rel=1e-5)


def test_weights_of_one_change_nothing() -> None:
    def results(history: Sequence[dict[str, float]]) -> list[tuple[float, float]]:
        return [(row["loss"], row["val_loss"]) for row in history]

    assert results(trained(Criterion(class_weights=(1.0,) * K))) == results(trained(PLAIN))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_metrics_are_scikit_learns_on_the_whole_validation_split(smoothing: float) -> None:
    criterion = Criterion(smoothing, top_k=2, macro_f1=True)
    model = model_of(criterion, 0.5)
    last = trained(criterion, model, epochs=3, batch_size=16)[-1]
    answers = probabilities(model, VALIDATION.images)
    labels = VALIDATION.labels
    assert last["val_accuracy"] == pytest.approx(np.mean(answers.argmax(axis=1) == labels))
    assert last["val_macro_f1"] == pytest.approx(f1_score(labels, answers.argmax(axis=1), average="macro"))
    assert last["val_top_k_accuracy"] == pytest.approx(top_k_accuracy_score(labels, answers, k=2))


def test_a_training_without_options_measures_what_it_always_did() -> None:
    assert {"macro_f1", "top_k_accuracy"}.isdisjoint(trained(PLAIN, epochs=1)[0])


def test_patience_watches_macro_f1() -> None:
    criterion = Criterion(macro_f1=True)
    model = model_of(criterion, 0.5)
    options: dict[str, Any] = {"epochs": 50, "batch_size": 16, "patience": 1, "monitor": "val_macro_f1"}
    history = trained(criterion, model, **options)
    scores = [row["val_macro_f1"] for row in history]
    answers = probabilities(model, VALIDATION.images).argmax(axis=1)
    assert len(history) < 50
    assert max(scores) == pytest.approx(f1_score(VALIDATION.labels, answers, average="macro"))


def test_a_training_resumed_in_the_middle_of_an_epoch_ends_with_the_same_bits(tmp_path: Path) -> None:
    criterion = Criterion(0.1, (0.5, 1.5, 2.0, 6.0), top_k=2, macro_f1=True)
    options: dict[str, Any] = {"epochs": 3, "batch_size": 16}
    whole = model_of(criterion)
    expected = trained(criterion, whole, **options)
    with pytest.raises(KeyboardInterrupt):
        trained(
            criterion,
            **options,
            checkpoints=CheckpointPlan(tmp_path, 0),
            on_batch=lambda *_: os.kill(os.getpid(), signal.SIGINT),
        )
    checkpoint = load_newest(tmp_path)
    assert checkpoint is not None
    assert checkpoint.step > 0
    resumed = model_of(criterion)
    history = trained(criterion, resumed, **options, resume_from=checkpoint)
    names = ("loss", "accuracy", "macro_f1", "top_k_accuracy", "val_loss", "val_macro_f1")
    assert [[row[name] for name in names] for row in history] == [
        [row[name] for name in names] for row in expected
    ]
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_kept_predictions_are_those_of_a_smoothed_training_too() -> None:
    criterion = Criterion(label_smoothing=0.1)
    model = model_of(criterion)
    predictions = ValidationPredictions(model, VALIDATION, 16, criterion)
    with predictions.keeping():
        trained(criterion, model, batch_size=16)
    kept = predictions.current()
    model.set_weights([weight * 0.5 for weight in model.get_weights()])
    np.testing.assert_allclose(kept.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(predictions.current(), probabilities(model, VALIDATION.images), rtol=1e-4)
