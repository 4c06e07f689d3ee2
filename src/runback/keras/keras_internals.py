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
from keras.src.random.seed_generator import global_seed_generator
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.tf_dataset_adapter import TFDatasetAdapter
from keras.src.trainers.data_adapters.torch_data_loader_adapter import TorchDataLoaderAdapter
from keras.src.trainers.epoch_iterator import EpochIterator
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
    if len(copies(model.variables[0])) == 1:
        model.compute_metrics(None, labels, probabilities)
    else:  # each device's
        model.distribute_strategy.run(lambda: model.compute_metrics(None, labels, probabilities))


def copies(variable: keras.Variable) -> list[Any]:
    """Return the variable, or, of one that TensorFlow has mirrored, each device's copy of it."""
    mirrored = getattr(variable.value, "values", None)
    return list(mirrored) if isinstance(mirrored, tuple) else [variable]


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


def begin_at(model: keras.Model, epoch: int | None) -> None:
    """Have a `fit` whose training has just begun go on with an epoch, counted from 0; None: as it says.

    keras.callbacks.BackupAndRestore does it the same way. It holds for later ones too, until it is None.
    """
    model._initial_epoch = epoch


def running_callbacks() -> keras.callbacks.CallbackList | None:
    """Return the list of callbacks that calls the hook which calls this; None where none does."""
    return _local("self", keras.callbacks.CallbackList)


def running_data() -> EpochIterator | None:
    """Return what the innermost running `fit` or `evaluate` takes its batches from; None outside one."""
    return _local("epoch_iterator", EpochIterator)


def _local(name: str, kind: type) -> Any:
    """Return a local variable of the innermost caller that has one of this name and type, or None."""
    frame = inspect.currentframe()
    while frame is not None:
        found = frame.f_locals.get(name)
        if isinstance(found, kind):
            return found
        frame = frame.f_back
    return None


def is_seeded(data: EpochIterator) -> bool:
    """Tell whether an epoch's batches and their order are functions of the random generators alone.

    So it is for arrays, and for a DataLoader of PyTorch.
    """
    return isinstance(data.data_adapter, ArrayDataAdapter | TorchDataLoaderAdapter)


def runs_python(data: EpochIterator) -> bool:
    """Tell whether the batches come out of Python code, which may draw from the global generators."""
    return not (is_seeded(data) or isinstance(data.data_adapter, TFDatasetAdapter))


def pass_over(data: EpochIterator, epochs: int, *, anew: bool = False) -> None:
    """Take the batches of so many epochs, and drop them; `anew`: each begins anew, as `evaluate` does."""
    for _ in range(epochs):
        with data.catch_stop_iteration():
            for begin, end, batches in data:
                if not isinstance(batches, list | tuple):  # TensorFlow's: an iterator
                    for _ in range(begin, end + 1):
                        next(batches)
        if anew:
            data.reset()


def make_variables(model: keras.Model, data: EpochIterator) -> None:
    """Make the variables that a model makes in its first step: its layers', its optimizers'.

    TensorFlow traces that step; where steps are not traced, one is done, and its effect is the caller's.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        spec = data._get_iterator().element_spec
        tf.function(model.train_step).get_concrete_function(spec)
    elif keras.backend.backend() == "torch":
        for _, _, batches in data:
            model.train_step(batches[0])
            break
        data.reset()


def has_own_step(model: keras.Model) -> bool:
    """Tell whether a model's training step is its own."""
    return type(model).train_step is not keras.Model.train_step


def global_seeds() -> list[Any]:
    """Return the variable of the generator that keras.random takes its seeds from where it is given none."""
    return [global_seed_generator().state]


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
