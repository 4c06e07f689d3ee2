"""Encoded images to arrays, several at a time, with the broken one named."""

import hashlib
import io
import logging
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from runback.classifier.data.reading.image_formats import UNDECODABLE, formats_of
from runback.classifier.data.reading.image_modes import WHITE, Colour, displayed, possible_sizes
from runback.classifier.data.reading.image_resizing import SAID, Resize, inner_size, resized
from runback.classifier.data.reading.reading_report import BrokenImage, ImageFacts, SplitReading
from runback.errors import DataError

COLOUR_CHUNKS = 1024
"""Bytes at the beginning of a PNG file in which the chunks about its colours are."""

BATCH = 64
"""Images decoded between two writes: few enough that 64 large photographs fit in memory."""

BLOCK = 2**28
"""Bytes of the images that are decoded between two writes, at most, unless one alone has more."""

TASK = 8
"""Images a thread takes at once: one by one, handing out tiny images costs more than decoding them."""

Item = tuple[str, bytes | Path | BrokenImage]
"""One encoded image: what to call it in a message, and its bytes or its file, or why there are none."""

Decoded = tuple[np.ndarray | None, ImageFacts | BrokenImage]


@dataclass(frozen=True)
class ImageForm:
    """The form in which images are wanted."""

    channels: int = 3
    """1: grey, 3: RGB."""
    size: tuple[int, int] | None = None
    """Height and width to resize to, bilinear; None: all images have the first one's."""
    background: Colour = WHITE
    """What shows through transparent pixels."""
    depth: int = 16
    """The bits of grey images of 16 bits that are in use."""
    resize: Resize = "stretch"
    """What happens to images of another shape than that of `size`."""
    is_depth_set: bool = False
    """Whether a person has set the depth: then colours of 16 bits, which have none, are refused."""


def decoded(
    batches: Iterable[list[Item]],
    *,
    channels: int = 3,
    size: tuple[int, int] | None = None,
    form: ImageForm | None = None,
    reading: SplitReading | None = None,
) -> Iterator[np.ndarray]:
    """Decode batch after batch; yield uint8 arrays (m, height, width, channels).

    Images come as an image viewer shows them, see `displayed`. `form` says what they become, or `channels`
    and `size` alone do. With a `reading`, that is told of each image, and broken ones are skipped. Raises
    DataError that names the image which is broken or too large, or of another size than the first.
    """
    form = form or ImageForm(channels, size)
    for images in _decoded(batches, form, SplitReading() if reading is None else reading, reading is None):
        if images:
            yield np.stack(images)


def checked(batches: Iterable[list[Item]], form: ImageForm, reading: SplitReading) -> Iterator[int]:
    """Decode batch after batch, tell `reading` of each image and keep none; yield how many were read."""
    for images in _decoded(batches, form, reading, refuses=False):
        yield len(images)


def _decoded(
    batches: Iterable[list[Item]], form: ImageForm, reading: SplitReading, refuses: bool
) -> Iterator[list[np.ndarray]]:
    # Pillow logs a line without a file's name for some, which are named here as broken.
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    # Pillow only warns up to twice its limit; a decompression bomb is an error here. It also warns of
    # broken metadata, which nobody reads. Set before the threads start: a filter holds for all of them.
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
                done = pool.map(partial(_images, form=form, expected=expected), parts)
                images = []
                for (name, _), (image, facts) in zip(
                    block, (one for part in done for one in part), strict=True
                ):
                    if refuses and isinstance(facts, BrokenImage):
                        raise DataError(f"{name}: {facts.reason}")
                    reading.add(name, facts)
                    images += [] if image is None else [image]
                if images:
                    expected = images[0].shape
                yield images


def _images(items: list[Item], *, form: ImageForm, expected: tuple[int, ...] | None) -> list[Decoded]:
    return [_image(name, source, form, expected) for name, source in items]


def _image(
    name: str, source: bytes | Path | BrokenImage, form: ImageForm, expected: tuple[int, ...] | None
) -> Decoded:
    if isinstance(source, BrokenImage):
        return None, source
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:  # of the system: it may pass
        raise DataError(f"{name}: cannot be read: {error.strerror or error}") from error
    try:
        # Not by its path: Pillow would map a TIFF file's pixels, and turn those wrong.
        with Image.open(io.BytesIO(content), formats=formats_of(name)) as file:
            if (
                form.size is None
                and expected is not None
                and expected[:2] not in (sizes := possible_sizes(file))
            ):
                _check_size(name, min(sizes), expected)
            view = displayed(
                file,
                channels=form.channels,
                background=form.background,
                depth=form.depth,
                is_depth_set=form.is_depth_set,
                has_colour_code=b"cICP" in content[:COLOUR_CHUNKS],
            )
        image = view.image
        size = (image.height, image.width)
        digest = hashlib.blake2b(f"{size} {image.mode} ".encode(), digest_size=16)
        digest.update(image.tobytes())
        facts = ImageFacts(digest.digest(), size, tuple(view.kinds), view.brightest)
        if form.size is None and expected is not None:
            _check_size(name, size, expected)
        elif form.size is not None:
            image = resized(image, form.size, form.resize, form.background)
            if inner_size(size, form.size) != form.size:
                facts = replace(facts, resized=SAID[form.resize])
        return np.asarray(image).reshape(image.height, image.width, form.channels), facts
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        reason = f"too large an image: expected at most {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down"
    except UnidentifiedImageError:
        reason = "expected an image; this is none, or a broken one"
    except (DataError, MemoryError):
        raise
    except UNDECODABLE as error:
        reason = f"cannot be decoded: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return None, BrokenImage(name, reason)


def _check_size(name: str, size: tuple[int, int], expected: tuple[int, ...]) -> None:
    if size != expected[:2]:
        raise DataError(
            f"{name}: {size[0]} x {size[1]} pixels, but the first image has {expected[0]} x "
            f"{expected[1]} (height x width); set data.height and data.width to resize all"
        )
