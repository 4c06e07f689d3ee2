"""Bounds of a network's knobs, and the smallest image that it can take."""

from typing import Annotated

from pydantic import Field

from runback.errors import InputError

Rate = Annotated[float, Field(ge=0, lt=1)]
"""A dropout rate: the share of values set to zero."""

Width = Annotated[int, Field(ge=1)]
"""The number of filters of a convolution, or of units of a dense layer."""


def require_size(name: str, input_shape: tuple[int, int, int], minimum: int) -> None:
    """Raise InputError unless both sides of an image of `input_shape` (height, width, channels) suffice."""
    height, width, _ = input_shape
    if min(height, width) < minimum:
        raise InputError(
            f"{name} needs images of at least {minimum}x{minimum} pixels; got {height}x{width}: "
            "use a smaller network or larger images"
        )
