"""Reads the images in a request's body: raw pixels as JSON, or as the bytes of a .npy file."""

import io
import json
import math

import numpy as np

from runback.errors import DataError

MAX_IMAGES = 1024
"""Images in one request."""

SHOWN = 80
"""Characters of a client's own words that a message repeats."""

JSON = "application/json"
NPY = ("application/x-npy", "application/octet-stream")

JSON_KEYS = ("inputs", "instances")
"""What MLflow's clients call the images."""

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""Version 3.0 is for names of fields, which pixels have none of."""


class TooMany(DataError):  # noqa: N818 - the word for it
    """A request is larger than the server takes."""


def read_images(body: bytes, content_type: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the images in a body: uint8 of shape (n, *shape), `shape` being height, width and channels.

    Errors: DataError with one line for everything else; TooMany, one of them, for over MAX_IMAGES.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == JSON:
        return _from_json(body, shape)
    if media_type in NPY:
        return _from_npy(body, shape)
    raise DataError(
        f"expected Content-Type {JSON}, or {' or '.join(NPY)} for the bytes of a .npy file; "
        f"got {_shown(content_type)}"
    )


def _from_json(body: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of too many digits, too deep
        raise DataError(f"the body is no JSON: {_shown(error)}") from error
    if not isinstance(content, dict) or len(content) != 1 or not content.keys() <= set(JSON_KEYS):
        got = list(content)[:3] if isinstance(content, dict) else type(content).__name__
        raise DataError(f'expected {{"inputs": IMAGES}} or {{"instances": IMAGES}}; got {_shown(got)}')
    try:
        images = np.array(next(iter(content.values())))
    except (ValueError, RecursionError) as error:
        raise DataError(f"expected lists of lists of one length each, of shape {_form(shape)}") from error
    _check_shape(images.shape, shape)
    if images.dtype.kind not in "iu":
        raise DataError("expected raw pixels, whole numbers from 0 to 255; got other values")
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > 255:
        raise DataError(f"expected raw pixels, from 0 to 255; got {low if low < 0 else high}")
    return images.astype(np.uint8)


def _from_npy(body: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the array of a .npy file; its header is checked before a byte of its content is looked at."""
    stream = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(stream)
        stated, is_fortran, dtype = _HEADERS[version](stream)
    except Exception as error:  # NumPy's parser of headers raises whatever Python's own parser does
        raise DataError("the body is no .npy file, as numpy.save writes it, of format 1.0 or 2.0") from error
    _check_shape(stated, shape)
    if dtype != np.uint8:
        raise DataError(f"expected raw pixels of dtype uint8; got {_shown(dtype)}")
    pixels = np.frombuffer(body, np.uint8, offset=stream.tell())
    if pixels.size != math.prod(stated):
        raise DataError(f"the .npy file holds {pixels.size} pixels, its header says {math.prod(stated)}")
    return pixels.reshape(stated, order="F" if is_fortran else "C")


def _check_shape(got: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    if got[1:] != shape or got[0] < 1:
        raise DataError(f"expected images of shape {_form(shape)}; got {_shown(got)}")
    if got[0] > MAX_IMAGES:
        raise TooMany(f"expected at most {MAX_IMAGES} images in a request; got {_shown(got[0])}")


def _form(shape: tuple[int, int, int]) -> str:
    return f"(n, {', '.join(str(side) for side in shape)})"


def _shown(said: object) -> str:
    text = " ".join((said if isinstance(said, str) else str(said)).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
