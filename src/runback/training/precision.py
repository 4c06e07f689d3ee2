"""The number format that a network computes in."""

import keras

from runback.errors import InputError

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
"""The mixed ones compute in 16 bits and keep weights, losses and probabilities in float32."""


def set_precision(name: str) -> None:
    """Make `name` the precision of every layer built from now on in this process. Raises InputError."""
    if name not in PRECISIONS:
        raise InputError(f"training.precision must be one of {', '.join(PRECISIONS)}; got {name!r}")
    keras.config.set_dtype_policy(name)
