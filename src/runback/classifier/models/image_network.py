"""Gives whatever a model's function returns one form: images of one shape in, a number for each class out."""

import logging

import keras

from runback.errors import InputError
from runback.keras.keras_message import keras_message

STEPS = ("fit", "train_step", "test_step", "compute_loss")
"""Methods of keras.Model that runback does not call on a network, or not always."""

_logger = logging.getLogger(__name__)


def image_network(network: keras.Model, shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Return a network that takes (n, *shape) and returns (n, num_classes).

    One that says so itself is returned as it is; one of a class of its own, or that takes images of any size,
    as the only layer of another. Errors: InputError where it takes or returns something else, or brings a
    training of its own.
    """
    own = [name for name in STEPS if getattr(type(network), name) is not getattr(keras.Model, name)]
    if own:
        raise InputError(
            f"model: {type(network).__name__} has a {own[0]}() of its own, which would not be used: put what "
            "it does into layers"
        )
    if network.compiled:
        _logger.warning("the model comes compiled: its optimizer, loss and metrics are not used")
        network.compiled = False
    if getattr(network, "input_shape", None) != (None, *shape) or not hasattr(network, "output_shape"):
        network = _as_layer(network, shape)
    outputs = getattr(network, "output", None)  # Keras knows none of a network that was never called
    returned = _several(outputs) or network.output_shape
    if returned != (None, num_classes):
        raise InputError(
            f"model: the network must return {num_classes} numbers for an image, the probability of each "
            f"class; it returns {returned}"
        )
    if not network.trainable_weights:
        raise InputError("model: none of the network's weights is trainable, so there is nothing to train")
    return network


def _several(outputs: object) -> str | None:
    """Say what a network returns in the place of one tensor; None where it returns one."""
    is_one = outputs is None or isinstance(outputs, keras.KerasTensor)
    return None if is_one else f"a {type(outputs).__name__} of tensors"


def _as_layer(network: keras.Model, shape: tuple[int, ...]) -> keras.Model:
    image = keras.Input(shape, dtype="float32", name="image")
    try:
        return keras.Model(image, network(image), name=f"{network.name}_of_images")
    except Exception as error:  # a layer's own code
        raise InputError(
            f"model: the network cannot take images of shape {shape}: {keras_message(error)}"
        ) from error
