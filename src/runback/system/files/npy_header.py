"""Reads .npy files that anybody may have made: what a header states is there, or nothing is allocated."""

import io
import math
from pathlib import Path

import numpy as np

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Version 3.0 is for names of fields, which neither pixels nor weights have."""


def array_of(content: bytes) -> np.ndarray:
    """Return the array of a .npy file's bytes. Raises ValueError for what is none, or not all there."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        shape, is_fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # NumPy's parser of headers raises whatever Python's own parser does
        raise ValueError(f"it is no .npy file: {error!s:.100}") from error
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    size, room = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if min(shape, default=0) < 0 or size != room:
        raise ValueError(f"its header states {size:,} bytes; it holds {room:,}")
    flat = np.frombuffer(content, np.uint8, offset=stream.tell()).copy()
    return flat.view(dtype).reshape(shape, order="F" if is_fortran else "C")


def mapped(file: Path) -> np.memmap:
    """Return the array of a .npy file, mapped from the disk. Raises OSError, ValueError."""
    try:
        return np.lib.format.open_memmap(file, mode="r")
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"{file.name}: {error!s:.100}") from error
