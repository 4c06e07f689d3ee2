"""Limits the memory that a network of others' takes, which its config asks for."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from runback.errors import InputError
from runback.provenance.comparing.record_form import MAX_PIXELS

WIDTH = 4
"""Bytes of a weight."""


@contextmanager
def limited_network(most: int, what: str) -> Iterator[None]:
    """Refuse weights of more than `most` bytes, all together, before they are made.

    Refuse more numbers between two layers than an image may have, too. Raises InputError, opening with
    `what`, whatever Keras makes of the refusal.
    """
    import keras

    asked = 0
    refused: list[str] = []
    variable, tensor = keras.Variable.__init__, keras.KerasTensor.__init__

    def make_variable(self: Any, initializer: Any, shape: Any = None, *more: Any, **named: Any) -> None:
        nonlocal asked
        asked += WIDTH * _count(shape)
        if asked > most:
            refuse(f"it asks for {asked:,} bytes of weights, and holds fewer")
        variable(self, initializer, shape, *more, **named)

    def make_tensor(self: Any, shape: Any, *more: Any, **named: Any) -> None:
        if (count := _count(shape)) > MAX_PIXELS:
            refuse(f"between its layers are {count:,} numbers; expected at most {MAX_PIXELS:,}")
        tensor(self, shape, *more, **named)

    def refuse(why: str) -> None:
        refused.append(why)
        raise ValueError(why)

    keras.Variable.__init__, keras.KerasTensor.__init__ = make_variable, make_tensor
    try:
        yield
    except Exception:
        if not refused:
            raise
    finally:
        keras.Variable.__init__, keras.KerasTensor.__init__ = variable, tensor
    if refused:
        raise InputError(f"{what} cannot be loaded: {refused[0]}")


def _count(shape: Any) -> int:
    """Return how many numbers have this shape, for one image where the number of images is open."""
    try:
        return math.prod(int(side) for side in shape if side is not None)
    except (TypeError, ValueError):
        return 0  # an array has its size already, and what is no shape is refused by Keras
