"""Decoded images on disk: decoded once, then memory-mapped by every process that needs them."""

import hashlib
import io
import itertools
import json
import math
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from runback.classifier.data.cache_folder import alone, check_space, partial
from runback.classifier.data.dataset import Dataset, check_class_names, check_labels
from runback.classifier.data.reading.reading_report import SplitReading, refuse_broken
from runback.errors import DataError
from runback.system.files.npy_header import mapped
from runback.system.files.whole_file import publish
from runback.system.home_folder import followed
from runback.system.text.terminal import say

DAMAGED = (OSError, ValueError, TypeError, KeyError, MemoryError, RecursionError)
"""Errors that reading a damaged entry raises."""

DIGEST_BYTES = 16

HEADER_PREFIX = 10
"""Bytes of a .npy file, version 1.0, before its header's text; the last two are that text's length."""

LINE_SECONDS = 5.0
"""Seconds between two lines of progress where there is no terminal."""


@dataclass(frozen=True)
class Decoding:
    """The labels of a source, known before it decodes an image, and its images as they come.

    `blocks` yields uint8 arrays (m, height, width, channels) of one image shape, together as many images
    as there are `labels` (int64), in their order. With a `reading`, `blocks` skips the images that are broken
    and tells it of each.
    """

    blocks: Iterator[np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...]
    reading: SplitReading | None = None


def cached(cache: Path, name: str, key: Mapping[str, Any], decode: Callable[[], Decoding]) -> Dataset:
    """Return the dataset that `decode` gives, from `cache`/`name`-<digest of key> if it is there.

    The folder (images.npy, labels.npy, class_names.json) appears whole or not at all; of several processes
    one decodes and the others wait. `key` must hold all that decides the content. Raises DataError when
    there is no space, no permission to write, or an entry was damaged from outside.
    """
    entry = _entry(cache, name, key)
    if not entry.exists():
        with alone(cache, name):
            if not entry.exists():
                _store(entry, name, decode())
    return _opened(entry)


def cached_reading(
    cache: Path, name: str, key: Mapping[str, Any], read: Callable[[SplitReading], Iterator[int]], n: int
) -> SplitReading:
    """Return what `read` tells a reading of `n` images, from `cache`/`name`-<digest of key> if it is there.

    No image is kept. For the rest see `cached`.
    """
    entry = _entry(cache, name, key)
    if not entry.exists():
        with alone(cache, name):
            if not entry.exists():
                reading = SplitReading()
                with counting(name, n) as count:
                    for done in read(reading):
                        count(done)
                with partial(cache, name) as folder:
                    _write_reading(folder, reading)
                    publish(folder, entry)
    return stored_reading(cache, name, key)


def stored_reading(cache: Path, name: str, key: Mapping[str, Any]) -> SplitReading:
    """Return what was said about the images of an entry that `cached` or `cached_reading` made."""
    entry = _entry(cache, name, key)
    _refuse_strange(entry)
    try:
        digests = np.array(mapped(entry / "digests.npy"))
        content = json.loads((entry / "reading.json").read_text(encoding="utf-8"))
        return SplitReading.from_dict(content, digests)
    except DAMAGED as error:
        raise DataError(f"the cached images {entry} are damaged ({error}): delete that folder") from error


def absolute(path: Path, base: Path = Path(), key: str = "data.path") -> Path:
    """Return what `key` names, relative to `base`, ~ and ~NAME followed.

    Raises DataError where there is no such home.
    """
    try:
        found = (base / followed(path)).absolute()
        return found.resolve() if ".." in found.parts else found
    except RuntimeError as error:
        raise DataError(f"{key}: expected the home of a user of this machine; got {str(path)!r}") from error


def identity(status: os.stat_result) -> tuple[int, int, int]:
    """Return what changes with a file's content: bytes, and nanoseconds of its last changes.

    The second time is of its data or its name: programs that keep the first one, as when they turn a
    photograph, and files that change places, cannot keep that.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def fingerprint(files: Iterable[Path]) -> list[tuple[str, int, int, int]]:
    """Return (absolute path, *`identity`) for each file; reads none of them.

    Raises DataError for what is no ordinary file, links followed.
    """
    try:
        stats = [(file.absolute(), file.stat()) for file in files]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for path, found in stats:
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise DataError(f"{path}: expected an ordinary file; it is none")
    return [(str(path), *identity(found)) for path, found in stats]


def _entry(cache: Path, name: str, key: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    return cache / f"{name}-{digest[:16]}"


def _store(entry: Path, name: str, decoding: Decoding) -> None:
    if not len(decoding.labels):
        raise DataError(f"{name}: expected images; got none")
    check_class_names(decoding.class_names)
    check_labels(decoding.labels, len(decoding.class_names))
    with partial(entry.parent, name) as folder:
        with (folder / "images.npy").open("wb") as file:
            _write_images(file, decoding, name, entry.parent)
        labels = decoding.labels
        if decoding.reading is not None:
            _write_reading(folder, decoding.reading)
            labels = labels[decoding.reading.positions]
        np.save(folder / "labels.npy", labels)
        (folder / "class_names.json").write_text(json.dumps(decoding.class_names), encoding="utf-8")
        publish(folder, entry)


def _write_reading(folder: Path, reading: SplitReading) -> None:
    digests = np.frombuffer(b"".join(reading.digests), np.uint8).reshape(-1, DIGEST_BYTES)
    np.save(folder / "digests.npy", digests if len(digests) else np.zeros((1, DIGEST_BYTES), np.uint8))
    (folder / "reading.json").write_text(json.dumps(reading.as_dict()), encoding="utf-8")


def _write_images(file: BinaryIO, decoding: Decoding, name: str, cache: Path) -> None:
    """Write block after block: plain writes report a full disk, where a memory map would crash."""
    first = next(decoding.blocks, None)
    if first is None:
        reading = decoding.reading or SplitReading()
        refuse_broken(reading.broken, len(decoding.labels), way_out="mend or replace them")
        raise DataError(f"{name}: expected images; got none")
    shape = (len(decoding.labels), *first.shape[1:])
    check_space(cache, math.prod(shape) + decoding.labels.nbytes + 4096)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    header_bytes = file.tell()
    with counting(name, shape[0]) as count:
        for block in itertools.chain([first], decoding.blocks):
            file.write(np.ascontiguousarray(block).data)
            count(len(block))
    written = (file.tell() - header_bytes) // math.prod(shape[1:])
    expected = shape[0] if decoding.reading is None else len(decoding.reading.positions)
    if written != expected:
        raise DataError(f"{name}: expected {expected} images; got {written}")
    if written != shape[0]:
        _shrink_header(file, {**header, "shape": (written, *shape[1:])}, header_bytes)


def _shrink_header(file: BinaryIO, header: Mapping[str, Any], size: int) -> None:
    """Write a header for fewer images over the one at the file's beginning, of the same size."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, dict(header))
    text = stream.getvalue()[HEADER_PREFIX:].rstrip()
    file.seek(0)
    file.write(stream.getvalue()[: HEADER_PREFIX - 2] + (size - HEADER_PREFIX).to_bytes(2, "little"))
    file.write(text.ljust(size - HEADER_PREFIX - 1) + b"\n")


@contextmanager
def counting(name: str, total: int) -> Iterator[Callable[[int], object]]:
    """Give a function that is told how many more images are done, and show it: a bar, or a line at times."""
    if sys.stderr.isatty():
        with tqdm(desc=name, total=total, unit=" images", delay=1, leave=False, disable=None) as bar:
            yield bar.update
        return
    done, shown = 0, time.monotonic()

    def count(more: int) -> None:
        nonlocal done, shown
        done += more
        if time.monotonic() - shown > LINE_SECONDS:
            shown = time.monotonic()
            say(f"{name}: {done:,} of {total:,} images read", stream=sys.stderr)

    yield count


def _refuse_strange(entry: Path) -> None:
    if entry.is_symlink() or any(path.is_symlink() or not path.is_file() for path in entry.iterdir()):
        raise DataError(f"the cached images {entry} are no ordinary files: delete that folder")


def _opened(entry: Path) -> Dataset:
    _refuse_strange(entry)
    try:
        images = mapped(entry / "images.npy")
        labels = np.array(mapped(entry / "labels.npy"))
        class_names = tuple(json.loads((entry / "class_names.json").read_text(encoding="utf-8")))
    except DAMAGED as error:
        raise DataError(f"the cached images {entry} are damaged ({error}): delete that folder") from error
    return Dataset(images, labels, class_names)
