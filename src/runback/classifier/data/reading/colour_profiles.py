"""Converts the colours of an image to sRGB by the ICC profile in its file, as an image viewer does."""

import functools
import io
from typing import Any

import numpy as np
from PIL import Image, ImageCms

SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}
"""Pillow's mode for what a profile's header calls its colours."""


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, bool]:
    """Return an image of mode L, RGB or CMYK in sRGB, and whether its profile changed it.

    What comes back unchanged has a profile of sRGB's colours, a damaged one, or one of other colours than
    the image's, which viewers ignore. A profile is of sRGB's colours if it changes none of a set of colours
    by more than 1: its name says nothing, "Linear sRGB" has others.
    """
    transform = _transform(profile)
    if transform is None:
        return image, False
    mode, to_rgb = transform
    if mode == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    if image.mode != mode:
        return image, False
    return ImageCms.applyTransform(image, to_rgb), True  # type: ignore[return-value]


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Return an image of mode LAB as RGB: Pillow's own conversion has none."""
    return ImageCms.applyTransform(image, _from_lab())  # type: ignore[return-value]


@functools.lru_cache(maxsize=64)
def _transform(content: bytes) -> tuple[str, Any] | None:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(content))
        mode = SPACES.get(profile.profile.xcolor_space)
        if mode is None:
            return None
        transform = ImageCms.buildTransform(profile, _srgb(), mode, "RGB")
        return None if _keeps_colours(mode, transform) else (mode, transform)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def _keeps_colours(mode: str, transform: Any) -> bool:
    if mode not in ("L", "RGB"):
        return False
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(grid if mode == "RGB" else np.arange(256, dtype=np.uint8)[np.newaxis])
    after = np.asarray(ImageCms.applyTransform(before, transform), np.int16)
    return bool(np.abs(after - np.asarray(before.convert("RGB"), np.int16)).max() <= 1)


@functools.cache
def _from_lab() -> Any:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB")


@functools.cache
def _srgb() -> Any:
    return ImageCms.createProfile("sRGB")
