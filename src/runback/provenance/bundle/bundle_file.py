"""A run as one zip file with a manifest of SHA-256 sums: written whole, and checked before it is used.

Three layers of sums: the manifest has the sum of every file; the zip's comment, its last 64 characters, is
the sum of every byte before it, so that no changed byte stays unseen; and the sum of the manifest is the
bundle's fingerprint. The first two show damage. Who forges a bundle forges them too: only the fingerprint,
compared with the one that the exporter saw, shows that.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from runback.errors import InputError
from runback.provenance.bundle.bundle_zip import (
    DAMAGED,
    UNSEALED,
    entries,
    is_sealed,
    manifest_bytes,
    pack,
    reason,
    refuse_overfull,
    seal,
    sum_of,
    unpack,
)
from runback.provenance.bundle.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MAX_TOTAL_BYTES,
    FileSum,
    Manifest,
    decode,
    encode,
)
from runback.system.files.bounded_zip import opened
from runback.system.files.whole_file import whole_file


@dataclass(frozen=True)
class Inspection:
    """The result of checking a bundle; `problems` is empty when every byte is as it was exported.

    `fingerprint` is the manifest's SHA-256; it, `run` and `files` are empty when no manifest can be read.
    """

    problems: tuple[str, ...]
    fingerprint: str = ""
    run: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, FileSum] = field(default_factory=dict)

    @property
    def total_bytes(self) -> int:
        """The size of all files that the manifest lists, unpacked."""
        return sum(file.bytes for file in self.files.values())


@dataclass(frozen=True)
class Bundle:
    """A bundle that was found intact; every file is checked again whenever it is read."""

    path: Path
    fingerprint: str
    run: Mapping[str, Any]
    files: Mapping[str, FileSum]

    @property
    def names(self) -> tuple[str, ...]:
        """The files' names, sorted; the manifest is not among them."""
        return tuple(sorted(self.files))

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises InputError where it is no longer what the manifest says."""
        content = io.BytesIO()
        for chunk in self._chunks(name):
            content.write(chunk)
        return content.getvalue()

    def extract(self, name: str, folder: Path) -> Path:
        """Write a file to `folder`/`name` and return that path; the folders on the way are made.

        The file appears whole or not at all. Raises InputError where it exists already, where a link in
        `folder` leads out of it, and where the content is no longer what the manifest says.
        """
        self._stated(name)
        target = folder / name
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{target} lies outside {folder}: a folder on the way is a link")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{target.parent} cannot be made: {error.strerror}") from error
        _check_target(target, overwrite=False)
        with _written(target) as stream:
            for chunk in self._chunks(name):
                stream.write(chunk)
        return target

    def _stated(self, name: str) -> FileSum:
        if name not in self.files:
            raise InputError(f"{self.path} holds no file {name!r}")
        return self.files[name]

    def _chunks(self, name: str) -> Iterator[bytes]:
        stated = self._stated(name)
        try:
            with opened(self.path) as archive:
                yield from unpack(archive, _entry(archive, name), stated)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error
        except DAMAGED as error:
            raise InputError(f"{self.path} was changed since it was opened: {reason(error)}") from error


def write_bundle(
    path: Path, run: Mapping[str, Any], files: Mapping[str, bytes | Path], *, overwrite: bool = False
) -> str:
    """Write `files` (name: content, or the file that holds it) and the facts `run` to a zip.

    Returns the bundle's fingerprint. The zip appears whole or not at all, and the same input gives the same
    bytes (with the same zlib). Raises InputError where `path` exists (unless `overwrite`), is a folder or has
    no folder, where a source cannot be read or changes meanwhile, where a name is unsafe, and where the files
    are larger than MAX_TOTAL_BYTES together.
    """
    _check_target(path, overwrite)
    total = sum(_size(name, source) for name, source in files.items())
    if total > MAX_TOTAL_BYTES:
        raise InputError(f"a bundle holds at most {MAX_TOTAL_BYTES} bytes; the files have {total}")
    sums = {name: sum_of(name, source) for name, source in files.items()}
    manifest = encode(Manifest(run, sums))
    decode(manifest)  # what could not be read is not written
    with _written(path) as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            archive.comment = UNSEALED
            pack(archive, MANIFEST, manifest, FileSum(_sha256(manifest), len(manifest)))
            for name in sorted(files):
                pack(archive, name, files[name], sums[name])
        seal(stream)
        refuse_overfull(sums.values(), stream.seek(0, os.SEEK_END))
    return _sha256(manifest)


def open_bundle(path: Path) -> Bundle:
    """Return a bundle of which everything was checked. Raises InputError with the first problem."""
    found = inspect_bundle(path)
    if found.problems:
        more = f" (and {len(found.problems) - 1} more: see `runback verify`)" if found.problems[1:] else ""
        raise InputError(f"{path}: {found.problems[0]}{more}")
    return Bundle(path, found.fingerprint, found.run, found.files)


def verify(path: Path) -> list[str]:
    """Return all problems of a bundle, one line each; none means intact. Errors: as `inspect_bundle`."""
    return list(inspect_bundle(path).problems)


def inspect_bundle(path: Path) -> Inspection:
    """Check everything in a bundle: form, names, sizes, sums. Nothing is unpacked to the disk.

    No file is read further than one byte past the size that the manifest states. Raises InputError only
    where there is no file that can be read.
    """
    size = _readable_size(path)
    limit = MAX_TOTAL_BYTES + 2 * MAX_MANIFEST_BYTES
    if size > limit:
        return Inspection((f"the file is too large for a bundle: at most {limit} bytes; it has {size}",))
    try:
        with opened(path) as archive:
            found = _inspected(archive, size)
        if found.problems or is_sealed(path):
            return found
    except InputError as error:
        return Inspection((str(error),))
    except DAMAGED as error:
        return Inspection((f"the file is no zip, or a damaged one: {reason(error)}",))
    changed = "the zip was changed or written anew outside its files: its last 64 characters are not its sum"
    return Inspection((changed,), found.fingerprint, found.run, found.files)


def _inspected(archive: zipfile.ZipFile, size: int) -> Inspection:
    infos = archive.infolist()
    problems, usable = entries(infos)
    there = {info.orig_filename for info in infos}
    if MANIFEST not in there:
        problems.insert(0, f"{MANIFEST} is missing: this is no bundle of runback")
    if MANIFEST not in usable:
        return Inspection(tuple(problems))
    try:
        data = manifest_bytes(archive, usable.pop(MANIFEST))
        manifest = decode(data)
        refuse_overfull(manifest.files.values(), size)
    except InputError as error:
        return Inspection((str(error), *problems))
    problems += [f"{name} is missing" for name in sorted(manifest.files.keys() - there)]
    problems += [f"{name!r} is not in the manifest" for name in sorted(usable.keys() - manifest.files.keys())]
    for name in sorted(usable.keys() & manifest.files.keys()):
        try:
            for _ in unpack(archive, usable[name], manifest.files[name]):
                pass
        except InputError as error:
            problems.append(str(error))
    return Inspection(tuple(problems), _sha256(data), manifest.run, manifest.files)


def _entry(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    for info in archive.infolist():
        if info.orig_filename == name:
            return info
    raise InputError(f"{name} was removed since the bundle was opened")


def _size(name: str, source: bytes | Path) -> int:
    if isinstance(source, bytes):
        return len(source)
    if not source.is_file():
        raise InputError(f"{name}: there is no file {source}")
    return source.stat().st_size


@contextmanager
def _written(target: Path) -> Iterator[BinaryIO]:
    """Give a stream for a file that appears at `target` when the block ends well. Raises InputError."""
    try:
        with whole_file(target) as stream:
            yield stream
    except OSError as error:
        raise InputError(f"{target} cannot be written: {reason(error)}") from error


def _check_target(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file to write")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if not overwrite and os.path.lexists(path):
        raise InputError(f"{path} exists already; give another name, or remove it first")


def _readable_size(path: Path) -> int:
    if not path.is_file():
        raise InputError(f"{path} is {'no file' if path.exists() else 'not there'}; expected a bundle")
    try:
        with path.open("rb") as stream:
            return stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {reason(error)}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
