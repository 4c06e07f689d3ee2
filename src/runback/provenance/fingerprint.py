"""Fingerprints of arrays: one changed bit changes them."""

import hashlib
import json
import sys
from collections.abc import Mapping

import numpy as np


def array_hash(array: np.ndarray) -> str:
    """Return the SHA-256, in hexadecimal, of an array's type, shape and content.

    The bytes hashed: one line of JSON in UTF-8 with sorted keys and no spaces, `dtype` (NumPy's name, such as
    "float32" or "bfloat16") and `shape`, ended by a newline; then the elements in C order, little-endian,
    each with its own bits: 0.0 and -0.0 differ, and so do two NaNs of other bits. Raises TypeError for an
    array of Python objects, which has no bytes of its own.
    """
    if array.dtype.hasobject:
        raise TypeError(f"expected an array of numbers; got one of {array.dtype}")
    header = {"dtype": array.dtype.name, "shape": list(array.shape)}
    digest = hashlib.sha256(json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    # As bytes, because types that NumPy does not know itself (bfloat16, float8) have no buffer.
    digest.update(np.ascontiguousarray(_little_endian(array)).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def tensor_hashes(named: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Return the hash of each array by its name, in the order given."""
    return {name: array_hash(array) for name, array in named.items()}


def _little_endian(array: np.ndarray) -> np.ndarray:
    order = array.dtype.byteorder
    is_big = order == ">" or (order == "=" and sys.byteorder == "big")
    return array.byteswap() if is_big else array
