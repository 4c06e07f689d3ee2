"""An image in 8 bits of grey or of RGB, as an image viewer shows it; conversions are named."""

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from PIL import ExifTags, Image, ImageOps

from runback.classifier.data.reading.colour_profiles import lab_to_srgb, to_srgb

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)

SEVERAL = "animated, or of several pages: the first picture is used"
TURNED = "turned as their EXIF data says"
TRANSPARENT = "transparent, laid over the background"
PROFILE = "colours of an ICC profile converted to sRGB"
PALETTE = "palettes replaced by their colours"
CMYK = "CMYK converted to RGB"
OTHER_COLOURS = "Lab, YCbCr or HSV converted to RGB"
HIGH_BITS = "16 bits of each colour cut to the high 8"
DEEP = "16 bits of grey scaled to 8, {white:,} being white"
GREY = "grey images in a colour set"
COLOUR = "colour images in a grey set"

GREYS = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}

TURNS = range(2, 9)
"""The orientations of EXIF that turn or mirror an image."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that devices measure; their files have 16 in each case."""

BAD_EXIF = (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error, zlib.error)
"""Errors that Pillow raises on broken EXIF data, which viewers ignore."""


@dataclass
class DisplayedImage:
    """An image as viewers show it, at its full size, of mode L or RGB; and how it came about."""

    image: Image.Image
    kinds: list[str] = field(default_factory=list)
    brightest: int = 0
    """The largest value of a grey image of 16 bits, else 0."""


def displayed(
    file: Image.Image, *, channels: int, background: Colour = WHITE, depth: int = 16
) -> DisplayedImage:
    """Return an image file as viewers show it: 1 channel is grey, 3 are RGB.

    Transparent pixels are laid over `background`. Grey of 16 bits is divided so that 2**`depth` - 1 becomes
    white. Raises whatever Pillow raises on a broken file, and ValueError for pixels that have no range of
    their own: floats and 32-bit integers.
    """
    result = DisplayedImage(file)
    if getattr(file, "is_animated", False) and file.format != "PSD":  # whose first one is all layers together
        result.kinds.append(SEVERAL)
    is_deep_colour = _is_deep_colour(file)
    is_tiff = file.format == "TIFF"
    before = _orientation(file) if is_tiff else 1
    file.load()  # which turns a TIFF file, and reads what follows the pixels of a PNG file
    grey = file.mode in GREYS
    if before in TURNS or _orientation(file) in TURNS:
        result.kinds.append(TURNED)
        result.image = file if is_tiff else ImageOps.exif_transpose(file)
    if file.mode.startswith("I"):
        _scale(result, depth)
    elif is_deep_colour:
        result.kinds.append(HIGH_BITS)
    alpha = _split_alpha(result)
    _to_rgb_or_grey(result, file.info.get("icc_profile"))
    if alpha is not None and alpha.getextrema()[0] < 255:  # type: ignore[operator]
        result.kinds.append(TRANSPARENT)
        below = Image.new("RGB", alpha.size, background)
        result.image = Image.composite(result.image.convert("RGB"), below, alpha)
    mode = "L" if channels == 1 else "RGB"
    if grey != (channels == 1):
        result.kinds.append(GREY if grey else COLOUR)
    if result.image.mode != mode:
        result.image = result.image.convert(mode)
    return result


def needed_depth(brightest: int) -> int:
    """Return how many bits a device has whose brightest value is this one."""
    return next(depth for depth in DEPTHS if brightest < 2**depth)


def oriented_size(file: Image.Image) -> tuple[int, int]:
    """Return height and width of an image as it is displayed, before its pixels are read."""
    late = file.format == "PNG" and not {"exif", "Raw profile type exif"} & file.info.keys()
    turned = not late and _orientation(file) in range(5, 9)  # Pillow would read a whole PNG file for it
    return (file.width, file.height) if turned else (file.height, file.width)


def _orientation(file: Image.Image) -> int:
    try:
        return int(file.getexif().get(ExifTags.Base.Orientation, 1))
    except BAD_EXIF:
        return 1


def _is_deep_colour(file: Image.Image) -> bool:
    """Tell, before they are read, whether pixels of several values have 16 bits each: Pillow keeps eight."""
    tiles = getattr(file, "tile", None) or []
    arguments = [one for tile in tiles[:1] for one in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    if file.format == "PPM":
        return any(isinstance(one, int) and one > 255 for one in arguments)
    return any(isinstance(one, str) and ";16" in one for one in arguments)


def _scale(result: DisplayedImage, depth: int) -> None:
    """Scale grey of 16 bits, which Pillow would clip to 8; a value that stands for transparency stays one."""
    values = np.asarray(result.image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("expected grey of at most 16 bits; 32-bit integers have no white of their own")
    result.brightest = int(values.max())
    result.kinds.append(DEEP.format(white=2**depth - 1))
    scaled = Image.fromarray(np.minimum(values >> (depth - 8), 255).astype(np.uint8))
    clear = result.image.info.get("transparency")
    if isinstance(clear, int):
        scaled.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    result.image = scaled


def _split_alpha(result: DisplayedImage) -> Image.Image | None:
    """Take the alpha channel off an image, leaving its colours in mode L, RGB or another one without."""
    image = result.image
    if image.mode in ("P", "PA"):
        result.kinds.append(PALETTE)
    if image.mode == "F":
        raise ValueError("expected 8 or 16 bits a value; floating-point numbers have no white of their own")
    if not image.has_transparency_data:
        result.image = image.convert("RGB") if image.mode == "P" else image
        return None
    if image.mode in PREMULTIPLIED:
        image = image.convert(PREMULTIPLIED[image.mode])
    if image.mode != "LA":
        image = image.convert("RGBA")
    result.image = image.convert("L" if image.mode == "LA" else "RGB")
    return image.getchannel("A")


def _to_rgb_or_grey(result: DisplayedImage, profile: bytes | None) -> None:
    image = result.image
    if image.mode == "1":
        image = image.convert("L")
    if profile and image.mode in ("L", "RGB", "CMYK"):
        before = image.mode
        image, has_changed = to_srgb(image, profile)
        if has_changed:
            result.kinds.append(PROFILE)
        if before == "CMYK":
            result.kinds.append(CMYK)
    elif image.mode == "CMYK":
        result.kinds.append(CMYK)
    elif image.mode not in ("L", "RGB", "RGBX"):
        result.kinds.append(OTHER_COLOURS)
        image = lab_to_srgb(image) if image.mode == "LAB" else image
    result.image = image if image.mode in ("L", "RGB") else image.convert("RGB")
