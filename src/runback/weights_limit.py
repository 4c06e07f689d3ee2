"""Limits the memory that a network of others' takes when it is made, which its config asks for."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runback.errors import InputError

WIDTH = 4
"""Bytes of a weight."""


@contextmanager
def limited_weights(most: int, what: str) -> Iterator[None]:
    """Refuse weights of more than `most` bytes, all together, before they are made.

    Raises InputError, opening with `what`, whatever Keras makes of the refusal.
    """
    import keras

    asked = 0
    make = keras.Variable.__init__

    def make_if_small(self: Any, initializer: Any, shape: Any = None, *more: Any, **named: Any) -> None:
        nonlocal asked
        asked += WIDTH * _count(shape)
        if asked > most:
            raise ValueError(f"weights of {asked:,} bytes")
        make(self, initializer, shape, *more, **named)

    keras.Variable.__init__ = make_if_small
    try:
        yield
    except Exception:
        if asked <= most:
            raise
    finally:
        keras.Variable.__init__ = make
    if asked > most:
        raise InputError(f"{what} cannot be loaded: it asks for {asked:,} bytes of weights, and holds fewer")


def _count(shape: Any) -> int:
    try:
        return math.prod(int(side) for side in shape)
    except (TypeError, ValueError):
        return 0  # an array has its size already, and what is no shape is refused by Keras
