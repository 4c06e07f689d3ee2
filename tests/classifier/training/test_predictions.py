import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from omegaconf import OmegaConf

from runback.classifier.augmentation.stack import build_stack
from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import VALIDATION_BATCH
from runback.classifier.training.fit import Result, compile_model, fit
from runback.classifier.training.predictions import ValidationPredictions
from runback.errors import TrialPruned
from runback.keras.checkpointing import CheckpointPlan
from runback.runs.checkpoint import load_newest

CONF = Path(__file__).parents[3] / "conf" / "augmentation"
AUGMENTATIONS = sorted(file.stem for file in CONF.glob("*.yaml"))
SHAPE = (8, 8, 1)
N = VALIDATION_BATCH + 44  # the last batch is smaller
BATCH = 16


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Count the validations that are made."""
    made: list[None] = []
    evaluate = keras.Model.evaluate

    def counted(*args: Any, **options: Any) -> Any:
        made.append(None)
        return evaluate(*args, **options)

    monkeypatch.setattr(keras.Model, "evaluate", counted)
    return made


def dataset(n: int) -> Dataset:
    rng = np.random.default_rng(n)
    labels = rng.integers(0, 2, n)
    images = rng.integers(0, 180, (n, *SHAPE)) + 75 * labels[:, None, None, None]
    return Dataset(images.astype(np.uint8), labels, ("dark", "bright"))


def small_model(
    augmentation: str = "none", optimizer: keras.optimizers.Optimizer | None = None
) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    network = keras.Sequential(
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
    layers = OmegaConf.to_container(OmegaConf.load(CONF / f"{augmentation}.yaml").layers)
    return compile_model(
        network, build_stack(layers, SHAPE, seed=3), optimizer or keras.optimizers.Adam(0.01)
    )


def train(model: keras.Model, **options: Any) -> Result:
    settings: dict[str, Any] = {
        "epochs": 2,
        "batch_size": BATCH,
        "seed": 1,
        "on_epoch": lambda step, metrics: None,
    }
    return fit(model, dataset(40), dataset(N), **{**settings, **options})


def predictions_of(model: keras.Model) -> ValidationPredictions:
    return ValidationPredictions(model, dataset(N), BATCH)


def bits(array: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return array.dtype.name, array.shape, array.tobytes()


def prune(step: int, metrics: dict[str, float]) -> None:
    raise TrialPruned(f"pruned at epoch {step}")


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_kept_predictions_are_those_of_another_pass(
    augmentation: str, precision: str, validations: list[None]
) -> None:
    keras.config.set_dtype_policy(precision)
    model = small_model(augmentation)
    kept, another = predictions_of(model), predictions_of(model)
    with kept.keeping():
        train(model, epochs=1)
    found = bits(kept.current())
    assert len(validations) == 1
    assert found[:2] == ("float32", (N, 2))
    assert found == bits(another.current())
    assert len(validations) == 2
    network = model if augmentation == "none" else model.layers[-1]
    by_network = network.predict(dataset(N).images, batch_size=VALIDATION_BATCH, verbose=0)
    assert found == bits(by_network)


def test_they_are_those_of_the_last_epoch(validations: list[None]) -> None:
    model = small_model()
    kept, seen = predictions_of(model), []
    with kept.keeping():
        train(model, epochs=3, on_epoch=lambda *_: seen.append(bits(kept.current())))
    assert bits(kept.current()) == seen[-1] == bits(predictions_of(model).current())
    assert len(set(seen)) == 3
    assert len(validations) == 4


def test_early_stopping_that_goes_back_gives_what_the_restored_weights_predict() -> None:
    model = small_model()
    kept, seen = predictions_of(model), []
    with kept.keeping():
        result = train(
            model,
            epochs=9,
            patience=1,
            monitor="val_loss",
            maximize=False,  # it rises from the start
            on_epoch=lambda *_: seen.append(bits(kept.current())),
        )
    held = result.history.index(result.metrics)
    assert held < len(seen) - 1
    assert bits(kept.current()) == seen[held] != seen[-1]


def test_averaged_weights_are_validated_and_kept() -> None:
    model = small_model(optimizer=keras.optimizers.Adam(0.01, use_ema=True))
    kept, seen = predictions_of(model), []
    with kept.keeping():
        train(model, on_epoch=lambda *_: seen.append(bits(kept.current())))
    assert bits(kept.current()) == bits(predictions_of(model).current()) == seen[-1]


def test_a_pruned_training_keeps_them_too(validations: list[None]) -> None:
    model = small_model("flip")
    kept = predictions_of(model)
    with pytest.raises(TrialPruned), kept.keeping():
        train(model, on_epoch=prune)
    found = bits(kept.current())
    assert len(validations) == 1
    assert found == bits(predictions_of(model).current())


@pytest.mark.parametrize("complete", [0, 1])
def test_an_interrupted_validation_is_done_again(complete: int) -> None:
    class Interrupt(keras.callbacks.Callback):
        def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            raise KeyboardInterrupt

    model = small_model()
    kept = predictions_of(model)
    with kept.keeping():
        if complete:
            train(model, epochs=complete)
        with pytest.raises(KeyboardInterrupt):
            model.evaluate(
                dataset(N).images, dataset(N).labels, verbose=0, batch_size=N, callbacks=[Interrupt()]
            )
    assert bits(kept.current()) == bits(predictions_of(model).current())


def test_a_resumed_training_with_nothing_left_predicts_as_the_whole_one(tmp_path: Path) -> None:
    whole = small_model("flip")
    kept = predictions_of(whole)
    with kept.keeping():
        train(whole, checkpoints=CheckpointPlan(tmp_path, 1))
    resumed = small_model("flip")
    again = predictions_of(resumed)
    with again.keeping():
        train(resumed, resume_from=load_newest(tmp_path))
    assert bits(again.current()) == bits(kept.current())


def test_keeping_them_changes_nothing_else(tmp_path: Path) -> None:
    def everything(name: str, *, keep: bool) -> Iterator[object]:
        model = small_model("flip_crop")
        kept = predictions_of(model)
        plan = CheckpointPlan(tmp_path / name, 1)
        if keep:
            with kept.keeping():
                result = train(model, checkpoints=plan)
            kept.current()
        else:
            result = train(model, checkpoints=plan)
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
        yield [[row[name].hex() for name in names] for row in result.history]
        for variables in (model.variables, model.optimizer.variables, model.metrics_variables):
            yield [(variable.path, bits(variable.numpy())) for variable in variables]
        yield sorted(vars(model))
        checkpoint = load_newest(plan.folder)
        assert checkpoint is not None
        for group, values in checkpoint.variables.items():
            yield group, [(path, bits(value)) for path, value in values]
        file = tmp_path / f"{name}.keras"
        model.save(file)
        with zipfile.ZipFile(file) as archive:
            addresses = rb'"shared_object_id": \d+'
            yield archive.namelist(), re.sub(addresses, b"", archive.read("config.json"))
            yield archive.read("model.weights.h5")

    assert list(everything("with", keep=True)) == list(everything("without", keep=False))
