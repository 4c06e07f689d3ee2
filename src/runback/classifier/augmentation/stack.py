"""Builds the augmentation from its config: a list of layers, each with a seed of its own."""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow

from runback.classifier.augmentation.alternating_flip import AlternatingFlip
from runback.errors import InputError
from runback.system.config.targets import build, resolve


def build_stack(
    specs: Sequence[Mapping[str, Any]],
    input_shape: tuple[int, int, int],
    *,
    seed: int,
    declared: tuple[str, ...] = (),
) -> keras.Sequential | None:
    """Build what `augmentation.layers` describes: one stack of layers, or None for an empty list.

    Each spec names a layer by `_target_`. A layer that takes a `seed` and is given none gets one drawn from
    (`seed`, its place in the list). All compute in float32, whatever the precision of the network. The
    stack takes images of `input_shape` (height, width, channels) with values 0..255 and keeps their shape.
    Raises InputError.
    """
    with refused("built"):
        layers = [_layer(spec, index, seed, declared) for index, spec in enumerate(specs)]
        for index, layer in enumerate(layers):
            if index and isinstance(layer, AlternatingFlip):
                raise InputError(
                    f"augmentation.layers.{index}: AlternatingFlip knows an image by its pixels: make it the "
                    "first layer"
                )
        return stack(layers, input_shape)


@contextlib.contextmanager
def refused(what: str) -> Iterator[None]:
    """Turn what TensorFlow and a lack of memory raise for such layers into an InputError."""
    try:
        yield
    except (MemoryError, OverflowError, tensorflow.errors.OpError) as error:
        told = " ".join(str(error).split()) or "they do not fit into memory"
        raise InputError(
            f"augmentation.layers cannot be {what}: {type(error).__name__}: {told:.200}"
        ) from error


def stack(layers: Sequence[keras.layers.Layer], input_shape: tuple[int, int, int]) -> keras.Sequential | None:
    """Put `layers` one behind the other, or return None where there are none.

    Raises InputError when a layer cannot take such images or changes their shape.
    """
    if not layers:
        return None
    try:
        stacked = keras.Sequential(
            [keras.Input(input_shape, dtype="float32", name="image"), *layers],
            name="augmentation",
        )
    except (TypeError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"augmentation.layers cannot take images of shape {input_shape}: {lines[0]}"
        ) from error
    if stacked.output_shape[1:] != tuple(input_shape):
        raise InputError(
            f"augmentation.layers must keep the images' shape {tuple(input_shape)}; "
            f"they make it {stacked.output_shape[1:]}"
        )
    return stacked


def _layer(spec: Mapping[str, Any], index: int, seed: int, declared: tuple[str, ...]) -> keras.layers.Layer:
    where = f"augmentation.layers.{index}"
    if not isinstance(spec, Mapping) or "_target_" not in spec:
        raise InputError(f"{where} must name a layer, as in _target_: keras.layers.RandomFlip; got {spec!r}")
    given: dict[str, Any] = {}
    if _accepts(spec, "dtype", where, declared):
        given["dtype"] = "float32"
    if spec.get("seed") is None and _accepts(spec, "seed", where, declared, by_name=True):
        given["seed"] = int(np.random.SeedSequence([seed, index]).generate_state(1)[0] >> 1)
    layer = build({k: v for k, v in spec.items() if k not in given}, where=where, declared=declared, **given)
    if not isinstance(layer, keras.layers.Layer):
        raise InputError(f"{where}: {spec['_target_']} makes {type(layer).__name__}, not a Keras layer")
    return layer


def _accepts(
    spec: Mapping[str, Any], name: str, where: str, declared: tuple[str, ...], *, by_name: bool = False
) -> bool:
    parameters = inspect.signature(resolve(spec["_target_"], where, declared)).parameters
    any_name = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return name in parameters or (any_name and not by_name)
