"""The private and undocumented parts of Keras that runback uses while it trains, all of them.

tests/keras/test_keras_internals.py has a test for each, which fails when Keras changes it.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.backend.config import keras_home
from keras.src.utils import file_utils

STOPPING_STATE = ("wait", "best", "best_epoch", "stopped_epoch")
"""The attributes of keras.callbacks.EarlyStopping that change from epoch to epoch, besides `best_weights`."""


def stopping_state(stopping: keras.callbacks.EarlyStopping) -> dict[str, Any]:
    """Return the state of early stopping, without the best weights."""
    return {name: getattr(stopping, name) for name in STOPPING_STATE}


def best_weights(stopping: keras.callbacks.EarlyStopping) -> list[np.ndarray]:
    """Return the weights of the best epoch in the order of `model.weights`; none before the first one."""
    return stopping.best_weights or []


def restore_stopping(
    stopping: keras.callbacks.EarlyStopping, state: Mapping[str, Any], weights: Sequence[np.ndarray]
) -> None:
    """Give early stopping its state and the weights of the best epoch; no weights: no epoch is complete."""
    for name, value in state.items():
        setattr(stopping, name, value)
    stopping.best_weights = list(weights) or None


def build_metrics(model: keras.Model) -> None:
    """Make the variables of a compiled model's metrics, which Keras does in the first step."""
    probabilities = np.zeros((1, *model.output_shape[1:]), np.float32)
    is_sparse = not isinstance(model.loss, keras.losses.CategoricalCrossentropy)
    labels = np.zeros(1) if is_sparse else probabilities
    model.compute_metrics(None, labels, probabilities)


def skip_steps(model: keras.Model, steps: int) -> None:
    """Have the model's train function do nothing in its first `steps` calls.

    Keras' loop begins with the first step of an epoch, always. To be called when the training has begun.
    """
    model.train_function = _after(steps, model)


def _after(steps: int, model: keras.Model) -> Callable[[Any], Any]:
    train = model.train_function
    logs = model.get_metrics_result()  # Keras looks at the names only
    calls = 0

    def train_or_skip(batches: Any) -> Any:
        nonlocal calls
        calls += 1
        return logs if calls <= steps else train(batches)

    return train_or_skip


def begin_at(model: keras.Model, epoch: int) -> None:
    """Have a `fit` whose training has just begun go on with an epoch, counted from 0.

    keras.callbacks.BackupAndRestore does it the same way.
    """
    model._initial_epoch = epoch


def callbacks_beside() -> list[keras.callbacks.Callback]:
    """Return the callbacks of the `fit` that calls the `on_train_begin` which calls this."""
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            return list(caller.callbacks)
        frame = frame.f_back
    return []


def data_adapter() -> str:
    """Return the class that the `fit` around this gives its data by; empty where it cannot be seen.

    ArrayDataAdapter for arrays, whose order Keras makes itself; GeneratorDataAdapter, PyDatasetAdapter,
    TFDatasetAdapter, TorchDataLoaderAdapter and others for what makes its own.
    """
    frame = inspect.currentframe()
    while frame is not None:
        adapter = getattr(frame.f_locals.get("epoch_iterator"), "data_adapter", None)
        if adapter is not None:
            return type(adapter).__name__
        frame = frame.f_back
    return ""


def keras_cache() -> Path:
    """Return the folder in which Keras keeps what it has downloaded."""
    return Path(keras_home()).expanduser()


@contextmanager
def published_weights_from(find: Callable[[str, str | None], Path]) -> Iterator[None]:
    """Have keras.applications take published weights from where `find(file name, MD5)` says; no download."""
    download = file_utils.get_file

    def find_file(fname: str, *_: Any, file_hash: str | None = None, **__: Any) -> str:
        return str(find(fname, file_hash))

    file_utils.get_file = find_file
    try:
        yield
    finally:
        file_utils.get_file = download


def all_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a network at every depth, those that its own layers hold included."""
    return list(network._flatten_layers(include_self=False, recursive=True))
