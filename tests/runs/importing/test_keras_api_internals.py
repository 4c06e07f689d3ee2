"""What is read from Keras' files is what Keras says of itself."""

import inspect

import keras
import pytest

from runback.runs.importing import keras_api_internals as api


@pytest.mark.parametrize(
    "module", ["layers", "optimizers", "callbacks", "utils", "backend", "losses", "models"]
)
def test_the_public_names_are_those_of_the_module(module) -> None:
    names = {name for name in dir(getattr(keras, module)) if not name.startswith("_")}
    assert names
    assert names <= set(api.exported(f"keras.{module}"))


def test_old_parts_are_there_beside_tensorflow_alone() -> None:
    assert api.has("tensorflow.keras.preprocessing.image.ImageDataGenerator")
    assert not api.has("keras.preprocessing.image.ImageDataGenerator")
    assert not api.has("keras.layers.core")
    assert not api.has("numpy.array")


@pytest.mark.parametrize(
    "name",
    [
        "layers.Dense",
        "layers.Conv2D",
        "layers.LSTM",
        "layers.Bidirectional",
        "layers.Embedding",
        "layers.RandomFlip",
        "optimizers.Adam",
        "optimizers.SGD",
        "callbacks.EarlyStopping",
        "callbacks.ModelCheckpoint",
    ],
)
def test_the_arguments_are_those_of_the_class(name) -> None:
    module, _, last = name.partition(".")
    signature = inspect.signature(getattr(getattr(keras, module), last).__init__)
    own = {one.name for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD} - {"self"}
    read = api.arguments(f"keras.{name}")
    assert read is not None
    assert own <= read
    assert "nonsense" not in read


def test_each_layer_takes_what_keras_says_every_layer_takes() -> None:
    for name in api.EVERY_LAYER - {"input_shape", "input_dim", "activity_regularizer"}:
        keras.layers.Dense(1, **{name: keras.layers.Dense(1).get_config().get(name)})
    with pytest.warns(UserWarning, match="input_shape"):
        keras.layers.Dense(1, input_shape=(2,))
    with pytest.warns(UserWarning, match="input_shape"):
        keras.layers.Dense(1, input_dim=2)
    with pytest.raises(ValueError, match="Unrecognized"):
        keras.layers.Dense(1, batch_input_shape=(1, 2))
