"""The zip of a bundle: its files, checked while they are packed and unpacked, its limits and its seal."""

import copy
import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from runback.errors import InputError
from runback.provenance.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, FileSum, name_problem, shorten
from runback.system.files.bounded_zip import refuse_bomb

CHUNK_BYTES = 2**20

RATIO = 4
"""The largest ratio of unpacked to packed size of a large bundle: a model, large in one, is stored."""

COMPRESSED = (".gz", ".h5", ".jpeg", ".jpg", ".keras", ".png", ".xz", ".zip")
"""Files that are stored as they are: deflate would cost time and gain nothing."""

UNSEALED = b"0" * 64
"""The zip's comment until the seal takes its place."""

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""Exceptions of zipfile for bytes that are no zip; NotImplementedError is a RuntimeError."""


def refuse_overfull(files: Iterable[FileSum], packed: int) -> None:
    """Refuse a bundle of `packed` bytes that claims to unpack to far more. Errors: InputError."""
    refuse_bomb([file.bytes for file in files], packed, RATIO, "the bundle")


def pack(archive: zipfile.ZipFile, name: str, source: bytes | Path, stated: FileSum) -> None:
    """Add a file to a zip, the same bytes for the same content.

    Raises InputError where `source` is no longer what `stated` says: it changed after it was summed.
    """
    info = zipfile.ZipInfo(name)  # its date is 1980-01-01
    info.create_system = 3  # Unix, also where this is written elsewhere
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_STORED if name.lower().endswith(COMPRESSED) else zipfile.ZIP_DEFLATED
    info.file_size = stated.bytes
    digest = hashlib.sha256()
    with archive.open(info, "w") as member:
        for chunk in _pieces(name, source):
            digest.update(chunk)
            member.write(chunk)
    if digest.hexdigest() != stated.sha256:
        raise InputError(f"{name} changed while it was exported; export again")


def sum_of(name: str, source: bytes | Path) -> FileSum:
    """Return size and SHA-256 of a content, or of the file that holds it, read piece by piece."""
    digest, size = hashlib.sha256(), 0
    for chunk in _pieces(name, source):
        digest.update(chunk)
        size += len(chunk)
    return FileSum(digest.hexdigest(), size)


def entries(infos: list[zipfile.ZipInfo]) -> tuple[list[str], dict[str, zipfile.ZipInfo]]:
    """Return what is wrong with a zip's directory, and the files that may be read, by name."""
    problems, usable = [], {}
    names = Counter(info.orig_filename for info in infos)
    places = Counter(info.header_offset for info in infos)
    for info in infos:
        why = _entry_problem(info)
        if not why and names[info.orig_filename] > 1:
            why = f"is there {names[info.orig_filename]} times"
        if not why and places[info.header_offset] > 1:
            why = "lies in the same place of the zip as another file"
        if why:
            problems.append(f"{shorten(repr(info.orig_filename))} {why}")
        else:
            usable[info.orig_filename] = info
    return list(dict.fromkeys(problems)), usable


def manifest_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the manifest, of one that is too large the beginning. Raises InputError where it is damaged."""
    try:
        data = b"".join(_unpacked(archive, info, MAX_MANIFEST_BYTES + 1))
    except DAMAGED as error:
        raise InputError(f"{MANIFEST} was changed: {reason(error)}") from error
    if len(data) <= MAX_MANIFEST_BYTES and zlib.crc32(data) != info.CRC:
        raise InputError(f"{MANIFEST} was changed: its CRC-32 is not the one in the zip")
    return data


def unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, stated: FileSum) -> Iterator[bytes]:
    """Yield the content of a file in pieces, checked against its sum.

    Raises InputError at the latest after the last piece, and before one byte too many is yielded.
    """
    changed = f"{info.orig_filename} was changed"
    if info.file_size != stated.bytes:
        raise InputError(f"{changed}: it has {info.file_size} bytes, the manifest says {stated.bytes}")
    digest, crc, size = hashlib.sha256(), 0, 0
    try:
        for chunk in _unpacked(archive, info, stated.bytes + 1):
            digest.update(chunk)
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            if size > stated.bytes:
                raise InputError(f"{changed}: it unpacks to more than the {stated.bytes} bytes it states")
            yield chunk
    except DAMAGED as error:
        raise InputError(f"{changed}: {reason(error)}") from error
    if digest.hexdigest() != stated.sha256:
        raise InputError(f"{changed}: its SHA-256 is {digest.hexdigest()}, the manifest says {stated.sha256}")
    if crc != info.CRC:
        raise InputError(f"{changed}: its CRC-32 is not the one in the zip")


def _entry_problem(info: zipfile.ZipInfo) -> str | None:
    if problem := name_problem(info.orig_filename):
        return problem
    if info.filename != info.orig_filename:  # an extra field can give a second name
        return f"has a second name, {shorten(repr(info.filename))}"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or something else that is no file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {info.compress_type}; only stored and deflated are read"
    return None


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> Iterator[bytes]:
    """Yield at most `limit` bytes of a file, whatever size the zip states for it."""
    # zipfile cuts a file off at its stated size without a word, so the size is replaced by the limit.
    # It then cannot know where to compare the CRC; without one it does not try.
    limited = copy.copy(info)
    limited.file_size = limit
    del limited.CRC
    with archive.open(limited) as member:
        while limit and (chunk := member.read(min(CHUNK_BYTES, limit))):
            limit -= len(chunk)
            yield chunk


def seal(stream: BinaryIO) -> None:
    """Replace the zip's comment, its last 64 bytes, by the SHA-256 of all bytes before it."""
    end = stream.seek(-len(UNSEALED), os.SEEK_END)
    digest = _sum_of_first(stream, end)
    stream.seek(end)
    stream.write(digest)


def is_sealed(path: Path) -> bool:
    """Return whether the last 64 characters of a zip are the SHA-256 of all before them."""
    with path.open("rb") as stream:
        end = stream.seek(-len(UNSEALED), os.SEEK_END)
        return stream.read() == _sum_of_first(stream, end)


def _sum_of_first(stream: BinaryIO, size: int) -> bytes:
    digest = hashlib.sha256()
    stream.seek(0)
    while size and (chunk := stream.read(min(CHUNK_BYTES, size))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest().encode()


def _pieces(name: str, source: bytes | Path) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    try:
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise InputError(f"{name}: {source} cannot be read: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Return the first line of what an error says, which may quote a name as long as a forger likes."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shorten(str(text).splitlines()[0])
