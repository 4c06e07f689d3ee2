"""An image in 8 bits of grey or of RGB, as an image viewer shows it; conversions are named."""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from runback.classifier.data.reading.colour_profiles import lab_to_srgb, to_srgb

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)

SEVERAL = "animated, or of several pages: the first picture is used"
TURNED = "turned as their EXIF or XMP data says"
TRANSPARENT = "transparent, laid over the background"
PROFILE = "colours of an ICC profile converted to sRGB"
UNREAD_COLOURS = "PNG colours of another gamma or gamut (gAMA, cICP), used as they are"
PALETTE = "palettes replaced by their colours"
CMYK = "CMYK converted to RGB"
OTHER_COLOURS = "Lab, YCbCr or HSV converted to RGB"
HIGH_BITS = "16 bits of each colour cut to the high 8"
DEEP = "16 bits of grey scaled to 8, {white:,} being white"
CUT = "16 bits of grey brighter than that white, cut"
BANDS = "bands besides the colours, such as infrared, left out"
GREY = "grey images in a colour set"
COLOUR = "colour images in a grey set"

GREYS = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
PREMULTIPLIED = {"RGBa": "RGBA", "La": "LA"}

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How an image is turned or mirrored by its orientation in EXIF, as `PIL.ImageOps.exif_transpose` does."""

DEPTHS = (8, 10, 12, 14, 16)
"""Bits that devices measure; their files have 16 in each case."""

USUAL_GAMMA, GAMMA_SLACK = 0.45455, 0.01
"""The gAMA of sRGB's colours (PNG, third edition, 11.3.2.2), and how much another may differ."""

BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, SAMPLE_FORMAT = 258, 259, 262, 277, 284, 339
"""Tags of TIFF files."""

WHITE_IS_ZERO = 0
"""The value of PHOTOMETRIC of grey that gets darker as it counts up."""

NO_WHITE = "expected grey of at most 16 bits; 32-bit integers have no white of their own"

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
    file: Image.Image,
    *,
    channels: int,
    background: Colour = WHITE,
    depth: int = 16,
    is_depth_set: bool = False,
    has_colour_code: bool = False,
) -> DisplayedImage:
    """Return an image file as viewers show it: 1 channel is grey, 3 are RGB.

    Transparent pixels are laid over `background`. Grey of 16 bits is divided so that 2**`depth` - 1 becomes
    white; colours of 16 bits are refused where a person has set another depth. `has_colour_code`: the file
    has a chunk cICP, which Pillow does not read. Raises whatever Pillow raises on a broken file, and
    ValueError for pixels that have no range of their own (floats, signed and 32-bit integers) and for files
    that Pillow reads wrongly.
    """
    result = DisplayedImage(file)
    if getattr(file, "is_animated", False) and file.format != "PSD":  # whose first one is all layers together
        result.kinds.append(SEVERAL)
    raw_mode = _raw_mode(file)
    is_tiff = file.format == "TIFF"
    if is_tiff:
        _check_tiff(file)
    before = _orientation(file) if is_tiff else 1
    file.load()  # which turns a TIFF file, and reads what follows the pixels of a PNG file
    _scale_clear_grey(file, raw_mode)
    is_grey = file.mode in GREYS or raw_mode.startswith("LA;")
    turn = before if is_tiff else _orientation(file)
    if turn in TURNS:
        result.kinds.append(TURNED)
        result.image = file if is_tiff else file.transpose(TURNS[turn])
    if is_tiff and file.tag_v2.get(SAMPLES, 1) > len(file.getbands()):  # type: ignore[attr-defined]
        result.kinds.append(BANDS)
    if file.mode.startswith("I"):
        _scale(result, depth, is_inverted=is_tiff and file.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO)  # type: ignore[attr-defined]
    elif ";16" in raw_mode:
        _check_high_bits(file, depth, is_depth_set)
        result.kinds.append(HIGH_BITS)
    alpha = _split_alpha(result)
    _to_rgb_or_grey(result, file.info.get("icc_profile"))
    if file.format == "PNG" and not file.info.keys() & {"icc_profile", "srgb"}:
        is_other = abs(file.info.get("gamma", USUAL_GAMMA) - USUAL_GAMMA) > GAMMA_SLACK
        if is_other or has_colour_code:
            result.kinds.append(UNREAD_COLOURS)
    if alpha is not None and alpha.getextrema()[0] < 255:  # type: ignore[operator]
        result.kinds.append(TRANSPARENT)
        below = Image.new("RGB", alpha.size, background)
        result.image = Image.composite(result.image.convert("RGB"), below, alpha)
    mode = "L" if channels == 1 else "RGB"
    if is_grey != (channels == 1):
        result.kinds.append(GREY if is_grey else COLOUR)
    if result.image.mode != mode:
        result.image = result.image.convert(mode)
    return result


def needed_depth(brightest: int) -> int:
    """Return how many bits a device has whose brightest value is this one."""
    return next(depth for depth in DEPTHS if brightest < 2**depth)


def possible_sizes(file: Image.Image) -> set[tuple[int, int]]:
    """Return the height and width that an image may be displayed in, before its pixels are read."""
    size, turned = (file.height, file.width), (file.width, file.height)
    if file.format == "TIFF":  # Pillow has turned it
        return {size}
    if file.format == "PNG" and not {"exif", "Raw profile type exif"} & file.info.keys():
        return {size, turned}  # EXIF data may follow the pixels; Pillow would read the whole file for it
    return {turned if _orientation(file) in range(5, 9) else size}


def _orientation(file: Image.Image) -> int:
    """Return the orientation in EXIF: what is there, but no whole number, viewers ignore."""
    try:
        orientation = file.getexif().get(ExifTags.Base.Orientation, 1)
    except BAD_EXIF:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _raw_mode(file: Image.Image) -> str:
    """Return how Pillow will unpack the pixels, known before they are read; with ;16 of 16 bits to 8."""
    for tile in (getattr(file, "tile", None) or [])[:1]:
        arguments = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if file.format == "SGI" and tile[0] == "SGI16":
            return f"{file.mode};16"
        if (
            file.format == "PPM"
            and file.mode != "I"
            and any(isinstance(n, int) and n > 255 for n in arguments)
        ):
            return f"{file.mode};16"
        return next((one for one in arguments if isinstance(one, str)), "")
    return ""


def _check_tiff(file: Any) -> None:
    """Refuse TIFF files that Pillow would read wrongly. Raises ValueError."""
    tags = file.tag_v2
    bits, kinds = tags.get(BITS, (1,)), tags.get(SAMPLE_FORMAT, (1,))
    if 2 in kinds:
        raise ValueError("expected unsigned values; signed ones have no black and no white of their own")
    if 3 not in kinds and max(bits) > 16:
        raise ValueError(NO_WHITE)
    is_in_planes = tags.get(PLANES, 1) == 2 and tags.get(COMPRESSION, 1) == 1
    if is_in_planes and (max(bits) == 16 or tags.get(PHOTOMETRIC) == WHITE_IS_ZERO):
        raise ValueError("a TIFF file in planes that is not compressed is not read right; save it as PNG")


def _check_high_bits(file: Image.Image, depth: int, is_depth_set: bool) -> None:
    """Refuse what cannot be done with colours of 16 bits, of which Pillow keeps eight. Raises ValueError."""
    if is_depth_set and depth != 16:
        raise ValueError(
            f"expected grey alone for data.depth={depth}; of colours the high 8 of 16 bits are used"
        )
    if file.format == "PNG" and "transparency" in file.info:
        raise ValueError("expected an alpha channel; one colour of 16 bits that is transparent is not read")


def _scale_clear_grey(file: Image.Image, raw_mode: str) -> None:
    """Scale the value of a grey PNG file that stands for transparency as Pillow has scaled its pixels."""
    clear = file.info.get("transparency")
    if file.format == "PNG" and raw_mode in ("L;2", "L;4") and isinstance(clear, int):
        file.info["transparency"] = clear * (85 if raw_mode == "L;2" else 17)


def _scale(result: DisplayedImage, depth: int, is_inverted: bool) -> None:
    """Scale grey of 16 bits, which Pillow would clip to 8; a value that stands for transparency stays one."""
    values = np.asarray(result.image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(NO_WHITE)
    result.brightest = int(values.max())
    white = 2**depth - 1
    result.kinds.append(DEEP.format(white=white))
    if result.brightest > white:
        result.kinds.append(CUT)
    shades = np.minimum(values, white)
    shades = white - shades if is_inverted else shades
    scaled = Image.fromarray((shades >> (depth - 8)).astype(np.uint8))
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
