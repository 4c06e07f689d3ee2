"""PNG and JPEG to arrays, several at a time, with the broken one named."""

import io
import math
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from runback.errors import DataError

FORMATS = ("PNG", "JPEG")
SUFFIXES = (".png", ".jpg", ".jpeg")
BATCH = 64
"""Images decoded between two writes: few enough that 64 large photographs fit in memory."""

BLOCK = 2**28
"""Bytes of the images that are decoded between two writes, at most, unless one alone has more."""

TASK = 8
"""Images a thread takes at once: one by one, handing out tiny images costs more than decoding them."""

BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    IndexError,
    struct.error,
    zlib.error,
)
"""Errors that Pillow raises on broken PNG and JPEG data."""

Item = tuple[str, bytes | Path]
"""One encoded image: what to call it in a message, and its bytes or its file."""


def decoded(
    batches: Iterable[list[Item]], *, channels: int, size: tuple[int, int] | None
) -> Iterator[np.ndarray]:
    """Decode batch after batch; yield uint8 arrays (m, height, width, channels).

    `channels` is 1 (grey) or 3 (RGB); transparency and EXIF orientation are ignored, as Keras ignores
    them. `size` is (height, width) to resize to, bilinear; with None all images must have the first
    one's. Raises DataError that names the image which is broken, too large, or of another size.
    """
    # Pillow only warns up to twice its limit; a decompression bomb is an error here. It also warns of
    # broken EXIF data, which nobody reads. Set before the threads start: a filter holds for all of them.
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    expected = None
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for batch in batches:
            rest = batch
            while rest:
                count = 1 if expected is None else max(1, BLOCK // math.prod(expected))
                block, rest = rest[:count], rest[count:]
                parts = [block[start : start + TASK] for start in range(0, len(block), TASK)]
                done = pool.map(partial(_images, channels=channels, size=size, expected=expected), parts)
                images = [image for part in done for image in part]
                expected = images[0].shape
                yield np.stack(images)


def _images(
    items: list[Item], *, channels: int, size: tuple[int, int] | None, expected: tuple[int, ...] | None
) -> list[np.ndarray]:
    return [_image(name, source, channels, size, expected) for name, source in items]


def _image(
    name: str,
    source: bytes | Path,
    channels: int,
    size: tuple[int, int] | None,
    expected: tuple[int, ...] | None,
) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as file:
            if size is None and expected is not None:
                _check_size(name, (file.height, file.width), expected)
            image = _converted(file, channels)
            if size is not None:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(image).reshape(image.height, image.width, channels)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(
            f"{name}: too large an image: expected at most {Image.MAX_IMAGE_PIXELS} pixels"
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: expected a PNG or JPEG image; this is none, or a broken one") from error
    except BROKEN as error:
        raise DataError(f"{name}: cannot be decoded: {str(error) or type(error).__name__}") from error


def _converted(image: Image.Image, channels: int) -> Image.Image:
    if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8, which leaves a white image
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(
            "L" if channels == 1 else "RGB"
        )
    if image.mode in ("I", "F"):
        raise ValueError(f"expected 8 or 16 bits a channel; got Pillow's mode {image.mode}")
    if image.mode == "P":
        image = image.convert("RGBA")  # else Pillow warns about palettes with transparency
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _check_size(name: str, size: tuple[int, int], expected: tuple[int, ...]) -> None:
    if size != expected[:2]:
        raise DataError(
            f"{name}: {size[0]} x {size[1]} pixels, but the first image has {expected[0]} x "
            f"{expected[1]} (height x width); set data.height and data.width to resize all"
        )
