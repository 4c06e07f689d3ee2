"""Tells by its first bytes, not by its name, whether a file is an image, and of which format.

Of Pillow's formats those are read that are decoded in this process. Left out are EPS and WMF, which start
other programs, and what has no signature, holds no picture, or is read in science only.
"""

import functools
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM", "PSD", "QOI", "DDS"),
    *("ICO", "ICNS", "SGI", "SUN", "DCX", "MSP", "XPM", "BLP", "FTEX"),
)
"""Formats with a signature; JPEG includes MPO, in which cameras store several pictures."""

BY_NAME = {
    **dict.fromkeys((".tga", ".icb", ".vda", ".vst"), "TGA"),
    **dict.fromkeys((".fli", ".flc"), "FLI"),
    **{".pcx": "PCX", ".cur": "CUR", ".dib": "DIB", ".im": "IM", ".xbm": "XBM"},
}
"""Formats that begin as many a file does: only a file of that name is tried."""

VERIFIED = frozenset({"AVIF", "BMP", "PPM", "ICO", "SGI", "MSP", "DCX"})
"""Formats that begin as other files may, too: the rest of the header is read."""

RAW = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".iiq", ".kdc", ".mef", ".mos", ".mrw"),
        *(
            ".bay",
            ".cap",
            ".dcr",
            ".eip",
            ".fff",
            ".gpr",
            ".k25",
            ".mdc",
            ".ptx",
            ".pxn",
            ".rwl",
            ".rwz",
            ".srf",
        ),
        *(".lrv", ".thm"),
        *(".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".sr2", ".srw", ".x3f"),
    }
)
"""Photographs as a camera's sensor saw them; many are TIFF files in which Pillow reads the thumbnail.

So are the thumbnails of videos (.thm)."""

UNREAD = RAW | {
    *(".ai", ".bpg", ".dcm", ".djvu", ".emf", ".eps", ".exr", ".fit", ".fits", ".hdr", ".heic", ".heif"),
    *(".hif", ".jxl", ".jxr", ".nii", ".pcd", ".ps", ".svg", ".wdp", ".wmf", ".xcf"),
}
"""Names of other images."""

UNREAD_SIGNATURES = (
    *(b"%!PS", b"\xc5\xd0\xd3\xc6", b"\xd7\xcd\xc6\x9a", b"SIMPLE  =", b"\xff\x0a", b"\x00\x00\x00\x0cJXL "),
    *(b"<svg", b"gimp xcf", b"v/1\x01", b"#?RADIANCE", b"AT&TFORM", b"II\xbc"),
)
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})

NO_IMAGE = "files that are no image"
UNREAD_FORMAT = "images of a format that is not read"
UNREADABLE = "files that cannot be opened"
NO_FILE = "pipes, sockets and devices"

UNDECODABLE = (
    *(OSError, SyntaxError, ArithmeticError, AssertionError, AttributeError, BufferError, EOFError),
    *(LookupError, MemoryError, RuntimeError, TypeError, ValueError, struct.error, zlib.error),
)
"""Errors that Pillow's decoders raise on broken data."""

PREFIX = 32
"""Bytes that are looked at."""


@dataclass(frozen=True)
class FileKind:
    """A file's kind: an image, something to leave out, or broken; `detail` says what exactly."""

    kind: Literal["image", "other", "broken"]
    detail: str


def formats_of(name: str) -> tuple[str, ...]:
    """Return the formats in which an image of this name is opened, for Pillow."""
    own = BY_NAME.get(Path(name).suffix.lower())
    return FORMATS if own is None else (*FORMATS, own)


def kind_of(file: Path, name: str) -> FileKind:
    """Look at a file's first bytes; `name` is what tells formats apart that these do not."""
    suffix = Path(name).suffix.lower()
    try:
        with file.open("rb", buffering=0) as stream:
            prefix = stream.read(PREFIX)
    except OSError as error:
        if is_named_as_image(name):
            return FileKind("broken", f"cannot be read: {error.strerror}")
        return FileKind("other", UNREADABLE)
    if suffix in RAW:
        return FileKind("other", UNREAD_FORMAT)
    found = _format(prefix, suffix)
    if found in VERIFIED and not _opens(file, found):
        found = None
    if found is not None:
        return FileKind("image", found)
    if suffix in UNREAD or prefix.startswith(UNREAD_SIGNATURES) or _is_heif(prefix):
        return FileKind("other", UNREAD_FORMAT)
    if is_named_as_image(name):
        what = "it is empty" if not prefix else "this is none, or a broken one"
        return FileKind("broken", f"expected an image; {what}")
    return FileKind("other", NO_IMAGE)


def is_named_as_image(name: str) -> bool:
    """Tell whether a file is called as an image is that could be read."""
    return Path(name).suffix.lower() in _suffixes()


def _format(prefix: bytes, suffix: str) -> str | None:
    _initialize()
    for name in FORMATS:
        accept = Image.OPEN[name][1]
        if accept is not None and len(prefix) >= 8 and accept(prefix) is True:
            return name
    return BY_NAME.get(suffix) if prefix else None


def _is_heif(prefix: bytes) -> bool:
    return prefix[4:8] == b"ftyp" and prefix[8:12] in HEIF_BRANDS


def _opens(file: Path, name: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=(name,)):
            return True
    except Image.DecompressionBombError:
        return True  # an image, and refused as one
    except UNDECODABLE:
        return False


@functools.cache
def _initialize() -> None:
    Image.init()


@functools.cache
def _suffixes() -> frozenset[str]:
    _initialize()
    read = {suffix for suffix, name in Image.EXTENSION.items() if name in FORMATS}
    return frozenset(read | BY_NAME.keys() | {".mpo", ".psb"})
