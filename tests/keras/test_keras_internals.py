"""Says which private part of Keras is no longer what runback takes it for."""

import inspect
import itertools
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from runback.keras.keras_internals import (
    STOPPING_STATE,
    all_layers,
    best_weights,
    build_metrics,
    data_adapter,
    keras_cache,
    published_weights_from,
    restore_stopping,
    skip_steps,
    stopping_state,
)
from runback.keras.networks import network_file

IMAGES = np.arange(64.0, dtype=np.float32).reshape(8, 8)
LABELS = np.arange(8) % 2


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2, activation="softmax")])
    network.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def fit(model: keras.Model, *callbacks: keras.callbacks.Callback, epochs: int = 1) -> None:
    model.fit(IMAGES, LABELS, batch_size=2, epochs=epochs, callbacks=[*callbacks], verbose=0)


def test_training_loop_calls_the_train_function_that_a_callback_put_in_place(model: keras.Model) -> None:
    calls = []

    class Replace(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            train = self.model.train_function
            self.model.train_function = lambda batches: calls.append(1) or train(batches)

    fit(model, Replace())
    assert len(calls) == 4, "Keras' loop does not read model.train_function after on_train_begin any more"


def test_skipped_steps_change_no_weight(model: keras.Model) -> None:
    class Skip(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            build_metrics(self.model)
            skip_steps(self.model, 4)

    before = [weight.copy() for weight in model.get_weights()]
    fit(model, Skip())
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
    fit(model)
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_early_stopping_keeps_these_attributes_from_epoch_to_epoch_and_no_others(model: keras.Model) -> None:
    stopping = keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    settings = {
        *("monitor", "patience", "verbose", "baseline", "min_delta", "mode", "monitor_op"),
        *("restore_best_weights", "start_from_epoch", "_model", "params", "validation_data"),
    }
    fit(model, stopping, epochs=2)
    changing = vars(stopping).keys() - settings
    assert changing == {*STOPPING_STATE, "best_weights"}, "EarlyStopping has other state to put back"


def test_early_stopping_goes_on_from_the_state_that_was_put_back(model: keras.Model) -> None:
    stopping = keras.callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True)

    class Restore(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            state = {"wait": 0, "best": 1e-9, "best_epoch": 0, "stopped_epoch": 0}
            restore_stopping(stopping, state, [np.zeros_like(weight) for weight in model.get_weights()])

    fit(model, stopping, Restore(), epochs=5)
    assert stopping_state(stopping)["stopped_epoch"] == 1
    assert not any(weight.any() for weight in best_weights(stopping))
    assert not any(weight.any() for weight in model.get_weights())


def test_metrics_are_built_as_by_a_real_step(model: keras.Model) -> None:
    build_metrics(model)
    built = [variable.path for variable in model.metrics_variables]
    fit(model)
    assert built == [variable.path for variable in model.metrics_variables]


def test_logs_become_floats_only_for_a_callback_that_overrides_the_end_of_a_batch() -> None:
    source = inspect.getsource(keras.callbacks.CallbackList)
    assert "on_train_batch_end" in source
    assert "_async_train" in source, "Keras decides in another way whether a callback needs a batch's logs"


def test_paths_of_variables_differ_between_two_models_by_numbers_alone() -> None:
    networks = [keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]) for _ in range(2)]
    first, second = ([weight.path for weight in network.weights] for network in networks)
    assert first != second
    assert [re.sub(r"_\d+(?=/|_|$)", "", path) for path in first] == [
        re.sub(r"_\d+(?=/|_|$)", "", path) for path in second
    ]


def test_a_network_is_stored_in_these_members_and_names_operations_by_these_modules(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    outputs = keras.ops.reshape(inputs + 1.0, (-1, 2, 2)) * 2.0
    keras.Model(inputs, outputs).save(tmp_path / "network.keras")
    with zipfile.ZipFile(tmp_path / "network.keras") as archive:
        assert {*archive.namelist()} == network_file.MEMBERS
        config = json.loads(archive.read(network_file.CONFIG))
    layers = config["config"]["layers"]
    operations = {one["module"] for one in layers if one["class_name"] != "InputLayer"}
    assert operations
    assert operations <= {*network_file.OPERATIONS}, "Keras stores operations by other modules"
    assert {"class_name", "module", "registered_name", "config"} <= layers[0].keys()


def test_keras_stores_no_plain_value_by_a_further_name() -> None:
    from keras.src.saving import serialization_lib

    names = set(re.findall(r'"(__[a-z_]+__)"', inspect.getsource(serialization_lib)))
    harmless = {"__lambda__", "__main__", "__typespec__", "__name__", "__class__", "__all__"}
    assert names - harmless == network_file.VALUES, "Keras has other names for values: may they be loaded?"


def test_weights_and_tensors_are_made_with_their_shape_where_the_limit_looks_for_it() -> None:
    assert [*inspect.signature(keras.Variable.__init__).parameters][:3] == ["self", "initializer", "shape"]
    assert [*inspect.signature(keras.KerasTensor.__init__).parameters][:2] == ["self", "shape"]


def test_published_weights_are_asked_for_by_name_and_hash_and_not_downloaded(tmp_path: Path) -> None:
    """keras.applications calls get_file of this module for each, and reads the file that it returns."""
    asked = []

    def find(file: str, md5: str | None) -> Path:
        asked.append((file, md5))
        raise FileNotFoundError

    for name, expected in (("MobileNetV2", None), ("EfficientNetB0", str)):
        with published_weights_from(find), pytest.raises(FileNotFoundError):
            getattr(keras.applications, name)(include_top=False, input_shape=(96, 96, 3))
        file, md5 = asked.pop()
        assert file.endswith(".h5")
        assert md5 is None if expected is None else isinstance(md5, str)
    assert keras_cache().name == ".keras"


def test_all_layers_are_those_at_every_depth() -> None:
    inner = keras.Sequential([keras.layers.Dense(2, name="deep")], name="inner")
    wrapped = keras.layers.TimeDistributed(keras.layers.Dense(2, name="within"), name="around")
    network = keras.Sequential([keras.Input((3, 2)), inner, wrapped])
    assert {"inner", "deep", "around", "within"} <= {layer.name for layer in all_layers(network)}


def test_what_fit_takes_its_data_from_is_seen_from_its_callbacks():
    seen = []

    class Looks(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(data_adapter())

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2), "float32"), np.zeros((4, 1), "float32")
    model.fit(x, y, verbose=0, callbacks=[Looks()])
    model.fit(
        (one for one in itertools.repeat((x, y))),
        shuffle=False,
        steps_per_epoch=1,
        verbose=0,
        callbacks=[Looks()],
    )
    assert seen == ["ArrayDataAdapter", "GeneratorDataAdapter"]
    assert data_adapter() == ""
