"""Refuses, before it is trained, a network that could not be stored or not be loaded again as it is."""

import contextlib
import logging
import random
import tempfile
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from runback.errors import InputError
from runback.keras.keras_message import keras_message
from runback.keras.networks.network_faults import (
    differing_layer,
    layers_of_its_own,
    unloadable_part,
    unsavable_part,
)
from runback.keras.networks.network_file import UNLOADABLE, read_network_file
from runback.system.files.full_disk import is_full

SLACK = 0.05
"""How far the probabilities of an image may be from adding up to 1: some networks round to 8 bits."""

TRIED = 2
"""Images whose outputs are compared."""

_logger = logging.getLogger(__name__)


def check_storable(
    network: keras.Model, images: np.ndarray, declared: tuple[str, ...], late: Collection[str] = ()
) -> int:
    """Store a network, load it as it is loaded later, and compare the two; return the file's size in bytes.

    `images` are a few that it is trained on, `declared` the modules whose layers it may hold, and `late` the
    names that objects were registered by only while the network was made: a later process lacks them. The
    network and Python's and NumPy's random numbers stay as they are.

    Errors: InputError, which names the layer at fault and what it lacks.
    """
    with tempfile.TemporaryDirectory(prefix="runback-") as folder, _unchanged(network):
        file = Path(folder) / "model.keras"
        _save(network, file, declared, late)
        with _unregistered(late):
            loaded = _load(network, file, declared, late)
        _compare(network, loaded, images[:TRIED])
        return file.stat().st_size


def _save(network: keras.Model, file: Path, declared: tuple[str, ...], late: Collection[str]) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a lambda, which is refused, with its name
            network.save(file)
    except UNLOADABLE as error:
        if is_full(error):
            raise InputError(
                f"model: no space for the network in {file.parent.parent}: free some there, or set TMPDIR"
            ) from error
        why = (
            unsavable_part(network, declared, late) or f"the network cannot be stored: {keras_message(error)}"
        )
        raise InputError(f"model: {why}") from error


def _load(network: keras.Model, file: Path, declared: tuple[str, ...], late: Collection[str]) -> keras.Model:
    try:
        return read_network_file(file, declared, "the network")
    except InputError as error:
        why = unloadable_part(network, file, declared, late) or keras_message(error.__cause__ or error)
        raise InputError(f"model: {why}") from error


def _compare(network: keras.Model, loaded: keras.Model, images: np.ndarray) -> None:
    different = differing_layer(network, loaded)
    if different is not None:
        raise InputError(f"model: {different}")
    first, second = _outputs(network, images), _outputs(loaded, images)
    _warn_of_logits(first)
    # A network that draws random numbers says something else each time.
    if not _are_close(first, second) and _are_close(first, _outputs(network, images)):
        suspects = ", ".join(layers_of_its_own(network)) or "one of its layers"
        raise InputError(
            "model: the network gives other outputs once it is stored and loaded: look for what "
            f"{suspects} keeps neither as a weight nor in get_config()"
        )


def _outputs(network: keras.Model, images: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(keras.ops.convert_to_numpy(network(images, training=False)))
    except Exception as error:  # a layer's own code
        shape = tuple(images.shape[1:])
        raise InputError(
            f"model: the network cannot take images of shape {shape}: {keras_message(error)}"
        ) from error


def _warn_of_logits(outputs: np.ndarray) -> None:
    """Warn of a network that returns no probabilities, which the loss takes its outputs for."""
    if outputs.min() < -SLACK or np.abs(outputs.sum(axis=-1) - 1).max() > SLACK:
        _logger.warning(
            "the network's outputs are no probabilities (the first image's add up to %.3g), and the loss "
            "takes them for such: end it with a softmax",
            outputs[0].sum(),
        )


def _are_close(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape == second.shape and np.allclose(first, second, rtol=1e-3, atol=1e-5, equal_nan=True)


@contextlib.contextmanager
def _unregistered(names: Collection[str]) -> Iterator[None]:
    """Let Keras know no object by these names meanwhile."""
    objects = keras.saving.get_custom_objects()
    taken = {name: objects.pop(name) for name in names if name in objects}
    try:
        yield
    finally:
        objects.update(taken)


@contextlib.contextmanager
def _unchanged(network: keras.Model) -> Iterator[None]:
    """Put back what trying a network changes: its state besides its weights, and the random numbers."""
    state: list[tuple[Any, Any]] = [
        (variable, variable.numpy()) for variable in network.variables if not variable.trainable
    ]
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        for variable, value in state:
            variable.assign(value)
