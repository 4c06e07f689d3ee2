"""What is found before the first epoch: networks as users write them, that could not be loaded again."""

import random
import sys
from collections.abc import Iterator
from types import ModuleType

import keras
import numpy as np
import pytest

from runback.classifier.models.deep_cnn import deep_cnn
from runback.classifier.models.resnet20 import resnet20
from runback.classifier.models.shallow_cnn import shallow_cnn
from runback.errors import InputError
from runback.keras.networks.storable_network import check_storable

SHAPE = (8, 8, 1)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype("uint8")

NETS = '''
import keras
from keras import layers, ops

registered = keras.saving.register_keras_serializable(package="unstored")


def net(*middle, **out):
    out = layers.Dense(3, activation="softmax", name="out", **out)
    middle = [layers.Rescaling(1 / 255), *middle, layers.Flatten()]
    return keras.Sequential([keras.Input((8, 8, 1)), *middle, out])


def doubled(x):
    return x * 2


@registered
def tripled(x):
    return x * 3


class Plain(layers.Layer):
    def call(self, x):
        return x * 2


@registered
class Scale(layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@registered
class Forgetful(Scale):
    def get_config(self):
        return layers.Layer.get_config(self)


@registered
class Needy(layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return super().get_config()


@registered
class Noise(layers.Layer):
    """Its argument counts in training alone."""

    def __init__(self, rate=0.1, **kwargs):
        super().__init__(**kwargs)
        self._rate = rate

    def call(self, x, training=None):
        return x * (1 + self._rate) if training else x

    def get_config(self):
        return super().get_config()


@registered
class Block(layers.Layer):
    """It hands an argument on to a layer of its own, and forgets it."""

    def __init__(self, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.drop = layers.Dropout(rate)

    def call(self, x):
        return self.drop(x)

    def get_config(self):
        return super().get_config()


class Helper:
    pass


@registered
class Helped(layers.Layer):
    def __init__(self, helper, **kwargs):
        super().__init__(**kwargs)
        self.helper = helper

    def call(self, x):
        return x


@registered
class Drawn(layers.Layer):
    """It keeps a random number, which is no weight."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.drawn = float(keras.random.uniform(()))

    def call(self, x):
        return x + self.drawn


@registered
class Child(layers.Lambda):
    pass


class Ones(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return ops.ones(shape, dtype)


@registered
class Constant(Ones):
    def __init__(self, scale):
        self.scale = scale

    def get_config(self):
        return {}


class Sum(keras.regularizers.Regularizer):
    def __call__(self, x):
        return ops.sum(x)


class Positive(keras.constraints.Constraint):
    def __call__(self, w):
        return ops.abs(w)


@registered
class Whole(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes = classes
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes, activation="softmax")

    def call(self, x):
        return self.dense(self.flat(x))

    def get_config(self):
        return {**super().get_config(), "classes": self.classes}


class Unregistered(Whole):
    pass


class Bare(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(classes, activation="softmax")

    def call(self, x):
        return self.dense(self.flat(x))


def as_layer(model):
    image = keras.Input((8, 8, 1))
    return keras.Model(image, model(image))


def inner_lambda():
    return keras.Sequential([layers.Lambda(lambda x: x, name="deep")], name="inner")


def of_ops():
    image = keras.Input((8, 8, 1))
    x = ops.relu(layers.Flatten()(image / 255.0)) * 2
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


def monte_carlo():
    image = keras.Input((8, 8, 1))
    x = layers.Dropout(0.5)(layers.Flatten()(image), training=True)
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))
'''

REGISTER = '@keras.saving.register_keras_serializable(package="stored_nets")'

GOOD = (
    "net()",
    'net(Scale(3.0, name="mine"))',
    'net(layers.Dense(4, activation=tripled, name="mine"))',
    "net(Forgetful())",  # with the default that it is loaded with
    "net(Block())",
    "net(layers.Activation(ops.relu))",
    "as_layer(Whole(3))",
    "of_ops()",
    "monte_carlo()",
)

BAD = {
    'net(layers.Lambda(lambda x: x, name="mine"))': ("layer 'mine' is a Lambda", REGISTER),
    'net(layers.Lambda(doubled, name="mine"))': ("layer 'mine' is a Lambda", REGISTER),
    "net(inner_lambda())": ("layer 'deep' is a Lambda", REGISTER),
    'net(layers.Dense(4, activation=lambda x: x, name="mine"))': (
        "the activation of layer 'mine' is a lambda",
        f"write a function, with {REGISTER} above it",
    ),
    'net(layers.Dense(4, activation=doubled, name="mine"))': (
        "the activation of layer 'mine' is stored_nets.doubled, which is not registered",
        REGISTER,
    ),
    'net(layers.Activation(ops.sin, name="mine"))': (
        "the activation of layer 'mine' is",
        "of your own",
        REGISTER,
    ),
    'net(Plain(name="mine"))': ("layer 'mine' is a stored_nets.Plain, which is not registered", REGISTER),
    'net(Child(tripled, name="mine"))': ("layer 'mine' is a stored_nets.Child, which descends from Lambda",),
    'net(Forgetful(3.0, name="mine"))': (
        "layer 'mine' (stored_nets.Forgetful)",
        "its get_config() lacks 'factor'",
        "3.0 here, and 2.0",
    ),
    'net(Needy(3.0, name="mine"))': (
        "layer 'mine' (stored_nets.Needy) cannot be loaded again: its get_config() lacks 'factor'",
    ),
    'net(Noise(0.3, name="mine"))': ("layer 'mine'", "lacks 'rate'", "0.3 here, and 0.1"),
    'net(Block(0.2, name="mine"))': ("layer 'mine' (stored_nets.Block)", "the rate of", "0.2 here, and 0.5"),
    'net(Helped(Helper(), name="mine"))': (
        "the helper of layer 'mine', a stored_nets.Helper,",
        "get_config()",
    ),
    'net(Drawn(name="mine"))': ("other outputs", "layer 'mine' (stored_nets.Drawn)"),
    "net(kernel_initializer=Ones())": (
        "the kernel_initializer of layer 'out' is a stored_nets.Ones, which is not registered",
        REGISTER,
    ),
    "net(kernel_initializer=Constant(2))": ("the kernel_initializer of layer 'out'", "lacks 'scale'"),
    "net(kernel_initializer=lambda shape, dtype=None: ops.ones(shape, dtype))": (
        "the kernel_initializer of layer 'out' is a lambda",
    ),
    "net(kernel_regularizer=Sum())": (
        "the kernel_regularizer of layer 'out', a stored_nets.Sum, cannot be stored",
        "get_config()",
        REGISTER,
    ),
    "net(kernel_constraint=Positive())": (
        "the kernel_constraint of layer 'out' is a stored_nets.Positive, which is not registered",
        REGISTER,
    ),
    "as_layer(Bare(3))": ("the model 'bare' (stored_nets.Bare) cannot be stored", "get_config()", REGISTER),
    "as_layer(Unregistered(3))": ("is a stored_nets.Unregistered, which is not registered", REGISTER),
}


@pytest.fixture(scope="module")
def nets() -> Iterator[ModuleType]:
    """Return a module of a project's own, whose classes are registered as long as the tests last."""
    before = dict(keras.saving.get_custom_objects())
    module = ModuleType("stored_nets")
    sys.modules["stored_nets"] = module
    exec(compile(NETS, "stored_nets.py", "exec"), vars(module))  # noqa: S102 - the text above
    yield module
    del sys.modules["stored_nets"]
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(before)


def made(nets: ModuleType, expression: str) -> keras.Model:
    return eval(expression, vars(nets))  # noqa: S307 - one of those above


@pytest.mark.parametrize("expression", GOOD)
def test_a_network_that_is_loaded_again_as_it_is_passes(nets, expression):
    assert check_storable(made(nets, expression), IMAGES, ("stored_nets",)) > 0


@pytest.mark.parametrize(("expression", "said"), BAD.items())
def test_a_network_that_is_not_is_refused_by_the_layer_and_what_it_lacks(nets, expression, said):
    with pytest.raises(InputError) as refused:
        check_storable(made(nets, expression), IMAGES, ("stored_nets",))
    message = str(refused.value)
    assert message.startswith("model: ")
    assert "\n" not in message
    assert all(part in message for part in said), message


@pytest.mark.parametrize("make", [deep_cnn, shallow_cnn, resnet20])
def test_networks_of_runback_pass(make):
    assert check_storable(make(SHAPE, 3), IMAGES, ()) > 0


def test_a_class_of_a_module_that_is_not_declared_names_the_module(nets):
    with pytest.raises(InputError, match=r"add 'stored_nets' to \[tool.runback\] modules"):
        check_storable(made(nets, "net(Scale())"), IMAGES, ("mine",))


def test_a_class_that_is_registered_only_while_the_network_is_made_is_refused(nets):
    with pytest.raises(InputError, match=r"layer 'mine' .* is registered only while the network is made"):
        check_storable(made(nets, 'net(Scale(name="mine"))'), IMAGES, ("stored_nets",), {"unstored>Scale"})
    assert "unstored>Scale" in keras.saving.get_custom_objects()
    network = made(nets, "net(layers.Activation(tripled))")
    with pytest.raises(InputError, match=r"the activation of layer .* is registered only while"):
        check_storable(network, IMAGES, ("stored_nets",), {"unstored>tripled"})


def test_two_classes_that_are_registered_by_one_name_are_refused(nets):
    network = made(nets, 'net(Scale(name="mine"))')
    first = nets.Scale

    @keras.saving.register_keras_serializable(package="unstored", name="Scale")
    class Other(first):
        pass

    Other.__module__ = "stored_nets"
    try:
        with pytest.raises(InputError, match=r"layer 'mine' .* is loaded as a .*Other: register one of them"):
            check_storable(network, IMAGES, ("stored_nets",))
    finally:
        keras.saving.get_custom_objects()["unstored>Scale"] = first


def test_the_check_changes_neither_the_network_nor_the_random_numbers(nets):
    network = made(nets, "monte_carlo()")
    before = [variable.numpy() for variable in network.variables]
    random.seed(1)
    np.random.seed(1)
    check_storable(network, IMAGES, ())
    drawn = random.getstate(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    assert drawn == (random.getstate(), np.random.random())
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_outputs_that_are_no_probabilities_are_warned_of(nets, caplog):
    network = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(3)])
    check_storable(network, IMAGES, ())
    assert "outputs are no probabilities" in caplog.text
    caplog.clear()
    check_storable(made(nets, "net()"), IMAGES, ())
    assert caplog.text == ""
