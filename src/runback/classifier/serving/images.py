"""Reads the images in a request's body: raw pixels as JSON, or as the bytes of a .npy file."""

import io
import math

import numpy as np

from runback.classifier.serving.nested_lists import SMALL, large_lists, shortened, small_lists
from runback.errors import DataError

MAX_IMAGES = 1024
"""Images in one request."""

MOST_OF_JSON = 16 * 2**20
"""Bytes of JSON: 1024 images of 32 x 32 pixels in 3 channels. A .npy file takes a fifth."""

MOST_OF_NPY = 64 * 2**20
"""Bytes of a .npy file."""

MOST_OF_HEADER = 2**14
"""Bytes of a .npy file's header; NumPy takes 10,000."""

JSON = "application/json"
NPY = ("application/x-npy", "application/octet-stream")

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Version 3.0 is for names of fields, which pixels have none of."""


class TooMany(DataError):  # noqa: N818 - the word for it
    """A request is larger than the server takes."""


def most_bytes(content_type: str, shape: tuple[int, int, int]) -> int:
    """Return how many bytes a body of images of `shape` may have. DataError for another Content-Type."""
    if _media_type(content_type) == JSON:
        return MOST_OF_JSON
    return min(MOST_OF_NPY, MAX_IMAGES * math.prod(shape) + MOST_OF_HEADER)


def read_images(body: bytes | bytearray, content_type: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the images in a body: uint8 of shape (n, *shape), `shape` being height, width and channels.

    Errors: DataError with one line for everything else; TooMany, one of them, for over MAX_IMAGES.
    """
    if _media_type(content_type) == JSON:
        return _from_json(body, shape)
    return _from_npy(body, shape)


def _media_type(content_type: str) -> str:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in (JSON, *NPY):
        raise DataError(
            f"expected Content-Type {JSON}, or {' or '.join(NPY)} for the bytes of a .npy file; "
            f"got {shortened(content_type)}"
        )
    return media_type


def _from_json(body: bytes | bytearray, shape: tuple[int, int, int]) -> np.ndarray:
    stated, read = small_lists(body) if len(body) <= SMALL else large_lists(body, shape)
    _check_shape(stated, shape)
    return read().reshape(stated)


def _from_npy(body: bytes | bytearray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the array of a .npy file; its header is checked before a byte of its content is looked at."""
    stream = io.BytesIO(body[:MOST_OF_HEADER])
    try:
        version = np.lib.format.read_magic(stream)
        stated, is_fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # NumPy's parser of headers raises whatever Python's own parser does
        raise DataError("the body is no .npy file, as numpy.save writes it, of format 1.0 or 2.0") from error
    _check_shape(stated, shape)
    if dtype != np.uint8:
        raise DataError(f"expected raw pixels of dtype uint8; got {shortened(dtype)}")
    pixels = np.frombuffer(body, np.uint8, offset=stream.tell())
    if pixels.size != math.prod(stated):
        raise DataError(f"the .npy file holds {pixels.size} pixels, its header says {math.prod(stated)}")
    return pixels.reshape(stated, order="F" if is_fortran else "C")


def _check_shape(got: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    is_whole = all(type(side) is int for side in got)  # True is 1 to NumPy, and equal to it
    if not is_whole or got[1:] != shape or got[0] < 1:
        raise DataError(f"expected images of shape {_form(shape)}; got {shortened(got)}")
    if got[0] > MAX_IMAGES:
        raise TooMany(f"expected at most {MAX_IMAGES} images in a request; got {shortened(got[0])}")


def _form(shape: tuple[int, int, int]) -> str:
    return f"(n, {', '.join(str(side) for side in shape)})"
