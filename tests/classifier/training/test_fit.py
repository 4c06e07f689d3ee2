import math
import time
from itertools import pairwise
from typing import Any

import keras
import numpy as np
import pytest

from runback.classifier.augmentation.stack import build_stack
from runback.classifier.data.dataset import Dataset
from runback.classifier.training.fit import Result, compile_model, fit
from runback.errors import Stopped, TrainingError, TrialPruned

METRICS = {
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "epoch_seconds",
    "images_per_second",
}


def dataset(n: int, seed: int = 0) -> Dataset:
    """Return dark images of class 0 and bright ones of class 1: learnt within an epoch or two."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 100, (n, 8, 8, 1)) + 150 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "bright"))


def tiny_network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def small_model(optimizer: Any = None, layers: list[dict[str, Any]] | None = None) -> keras.Model:
    keras.utils.set_random_seed(1)
    network = tiny_network()
    augmentation = build_stack(layers or [], (8, 8, 1), seed=1)
    return compile_model(network, augmentation, optimizer or keras.optimizers.Adam(0.01))


def train(model: keras.Model, **options: Any) -> Result:
    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_size": 32,
        "seed": 1,
        "on_epoch": lambda step, metrics: None,
    }
    return fit(model, dataset(100), dataset(50, seed=1), **{**settings, **options})


def test_each_epoch_is_reported_with_every_metric_as_it_ends() -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    result = train(small_model(), epochs=3, on_epoch=lambda step, metrics: seen.append((step, metrics)))
    assert [step for step, _ in seen] == [1, 2, 3]
    assert all(set(metrics) == METRICS for _, metrics in seen)
    assert all(type(value) is float for _, metrics in seen for value in metrics.values())
    assert result == Result(3, 3, seen[-1][1], [metrics for _, metrics in seen])


def test_it_learns_and_the_metrics_are_those_of_the_model() -> None:
    model = small_model()
    result = train(model, epochs=20)
    validation = dataset(50, seed=1)
    probabilities = np.asarray(model(validation.images))
    assert result.metrics["val_accuracy"] > 0.9
    assert result.metrics["val_accuracy"] == pytest.approx(
        np.mean(probabilities.argmax(axis=1) == validation.labels)
    )
    chosen = probabilities[np.arange(50), validation.labels]
    assert result.metrics["val_loss"] == pytest.approx(-np.mean(np.log(chosen)), rel=1e-4)


def test_times_and_speed_fit_together() -> None:
    started = time.perf_counter()
    result = train(small_model(), epochs=3)
    seconds = time.perf_counter() - started
    assert 0 < sum(row["epoch_seconds"] for row in result.history) < seconds
    for row in result.history:  # the speed leaves validation out
        assert 100 / row["images_per_second"] < row["epoch_seconds"]


@pytest.mark.parametrize("steps", [1, 2, 3, 8])
def test_shorter_and_longer_epochs_train_on_the_same_batches(steps: int) -> None:
    whole, cut = small_model(), small_model()
    train(whole, epochs=6)  # of 4 steps
    result = train(cut, epochs=24 // steps, steps_per_epoch=steps)
    assert result.epochs == 24 // steps
    for one, other in zip(whole.weights, cut.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_learning_rate_is_that_of_the_epochs_first_step() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3, 7], [0.1, 0.01, 0.001])
    result = train(small_model(keras.optimizers.SGD(schedule)), epochs=3)  # 4 steps an epoch
    assert [row["learning_rate"] for row in result.history] == pytest.approx([0.1, 0.01, 0.001])


def test_training_moves_the_networks_own_weights_through_the_augmentation() -> None:
    network = tiny_network()
    before = [np.array(weight) for weight in network.weights]
    layers = [{"_target_": "keras.layers.RandomFlip"}]
    model = compile_model(network, build_stack(layers, (8, 8, 1), seed=1), keras.optimizers.Adam(0.01))
    train(model, epochs=1)
    assert all(not np.array_equal(old, new) for old, new in zip(before, network.weights, strict=True))
    assert "augmentation" not in {layer.name for layer in network.layers}


def test_the_augmentation_is_off_in_validation() -> None:
    images = dataset(20).images
    layers = [{"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": 8}]
    model = small_model(layers=layers)
    np.testing.assert_array_equal(model(images, training=False), model.layers[-1](images, training=False))
    assert not np.array_equal(model(images, training=True), model(images, training=True))


@pytest.mark.parametrize(
    "error", [TrialPruned("pruned at epoch 2"), Stopped("SIGTERM", 143), OSError("disk")]
)
def test_what_on_epoch_raises_ends_the_training_at_once(error: BaseException) -> None:
    steps = []

    def on_epoch(step: int, metrics: dict[str, float]) -> None:
        steps.append(step)
        if step == 2:
            raise error

    with pytest.raises(type(error)) as caught:
        train(small_model(), epochs=50, on_epoch=on_epoch)
    assert caught.value is error
    assert steps == [1, 2]


def test_a_diverged_training_fails_with_its_last_epoch_reported() -> None:
    seen = []
    with pytest.raises(TrainingError, match=r"^diverged: loss is (nan|inf) after epoch \d$"):
        train(
            small_model(keras.optimizers.SGD(1e38)),
            epochs=9,
            on_epoch=lambda step, metrics: seen.append(metrics["loss"]),
        )
    assert not math.isfinite(seen[-1])
    assert all(math.isfinite(loss) for loss in seen[:-1])


def test_early_stopping_returns_to_the_best_epoch() -> None:
    # The rate jumps from useful to ruinous after two epochs of four steps.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([7], [0.01, 3.0])
    model = small_model(keras.optimizers.SGD(schedule, momentum=0.9))
    result = train(model, epochs=30, patience=3, monitor="val_loss", maximize=False)
    best = min(range(result.epochs), key=lambda epoch: result.history[epoch]["val_loss"])
    assert result.epochs == best + 1 + 3
    assert result.metrics == result.history[best]
    validation = dataset(50, seed=1)
    loss, accuracy = model.evaluate(validation.images, validation.labels, verbose=0)
    assert loss == pytest.approx(result.metrics["val_loss"], rel=1e-5)
    assert accuracy == pytest.approx(result.metrics["val_accuracy"])


def test_without_early_stopping_the_last_epoch_counts() -> None:
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([7], [0.01, 3.0])
    result = train(small_model(keras.optimizers.SGD(schedule)), epochs=4)
    assert result.metrics == result.history[-1]


def test_batches_are_reported_at_most_ten_times_a_second_and_within_their_epoch() -> None:
    seen: list[tuple[float, int, int]] = []

    def on_batch(step: int, images_done: int, metrics: dict[str, float]) -> None:
        assert set(metrics) == {"loss", "accuracy"}
        seen.append((time.perf_counter(), step, images_done))

    train(small_model(), epochs=20, batch_size=2, on_batch=on_batch)
    assert len(seen) > 1
    assert all(later[0] - earlier[0] >= 0.1 for earlier, later in pairwise(seen))
    assert all(1 <= step <= 20 and 0 < done < 100 and done % 2 == 0 for _, step, done in seen)


def weights(model: keras.Model) -> list[bytes]:
    return [weight.numpy().tobytes() for weight in model.variables]


def test_the_last_epoch_asked_for_ends_it_where_a_pruner_would_have() -> None:
    def prune(step: int, metrics: dict[str, float]) -> None:
        if step == 3:
            raise TrialPruned("enough")

    schedule = keras.optimizers.schedules.CosineDecay(0.05, decay_steps=40)
    pruned, reproduced = (small_model(keras.optimizers.SGD(schedule, use_ema=True)) for _ in range(2))
    with pytest.raises(TrialPruned):
        train(pruned, epochs=10, patience=3, on_epoch=prune)
    steps: list[int] = []
    result = train(
        reproduced, epochs=10, patience=3, last_epoch=3, on_epoch=lambda step, metrics: steps.append(step)
    )
    assert steps == [1, 2, 3]
    assert result.epochs == 3
    assert result.metrics == result.history[-1]
    assert weights(reproduced) == weights(pruned)


def test_a_last_epoch_that_is_never_reached_changes_nothing() -> None:
    assert train(small_model(), epochs=2, last_epoch=9).epochs == 2
