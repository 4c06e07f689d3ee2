"""Decoded images on disk: decoded once, then memory-mapped by every process that needs them."""

import hashlib
import json
import math
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tqdm import tqdm

from runback.classifier.data.cache_folder import alone, check_space, partial
from runback.classifier.data.dataset import Dataset, check_class_names, check_labels
from runback.errors import DataError
from runback.system.files.npy_header import mapped
from runback.system.files.whole_file import publish


@dataclass(frozen=True)
class Decoding:
    """The labels of a source, known before it decodes an image, and its images as they come.

    `blocks` yields uint8 arrays (m, height, width, channels) of one image shape, together as many images
    as there are `labels` (int64), in their order.
    """

    blocks: Iterator[np.ndarray]
    labels: np.ndarray
    class_names: tuple[str, ...]


def cached(cache: Path, name: str, key: Mapping[str, Any], decode: Callable[[], Decoding]) -> Dataset:
    """Return the dataset that `decode` gives, from `cache`/`name`-<digest of key> if it is there.

    The folder (images.npy, labels.npy, class_names.json) appears whole or not at all; of several processes
    one decodes and the others wait. `key` must hold all that decides the content. Raises DataError when
    there is no space, no permission to write, or an entry was damaged from outside.
    """
    digest = hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
    entry = cache / f"{name}-{digest[:16]}"
    if not entry.exists():
        with alone(cache, name):
            if not entry.exists():
                _store(entry, name, decode())
    return _opened(entry)


def absolute(path: Path) -> Path:
    """Return what data.path names, ~ and ~NAME followed; raises DataError where there is no such home."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise DataError(
            f"data.path: expected the home of a user of this machine; got {str(path)!r}"
        ) from error


def fingerprint(files: Iterable[Path]) -> list[tuple[str, int, int]]:
    """Return (absolute path, bytes, nanoseconds of the last change) for each file; reads none of them.

    Raises DataError for what is no ordinary file, links followed.
    """
    try:
        stats = [(file.absolute(), file.stat()) for file in files]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for path, found in stats:
        if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for
            raise DataError(f"{path}: expected an ordinary file; it is none")
    return [(str(path), found.st_size, found.st_mtime_ns) for path, found in stats]


def _store(entry: Path, name: str, decoding: Decoding) -> None:
    if not len(decoding.labels):
        raise DataError(f"{name}: expected images; got none")
    check_class_names(decoding.class_names)
    check_labels(decoding.labels, len(decoding.class_names))
    with partial(entry.parent, name) as folder:
        with (folder / "images.npy").open("wb") as file:
            _write_images(file, decoding, name, entry.parent)
        np.save(folder / "labels.npy", decoding.labels)
        (folder / "class_names.json").write_text(json.dumps(decoding.class_names), encoding="utf-8")
        publish(folder, entry)


def _write_images(file: BinaryIO, decoding: Decoding, name: str, cache: Path) -> None:
    """Write block after block: plain writes report a full disk, where a memory map would crash."""
    first = next(decoding.blocks)
    shape = (len(decoding.labels), *first.shape[1:])
    check_space(cache, math.prod(shape) + decoding.labels.nbytes + 4096)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    header_bytes = file.tell()
    with tqdm(desc=name, total=shape[0], unit=" images", delay=1, leave=False, disable=None) as bar:
        file.write(np.ascontiguousarray(first).data)
        bar.update(len(first))
        for block in decoding.blocks:
            file.write(np.ascontiguousarray(block).data)
            bar.update(len(block))
    data_bytes = file.tell() - header_bytes
    if data_bytes != math.prod(shape):
        raise DataError(f"{name}: expected {shape[0]} images; got {data_bytes // math.prod(shape[1:])}")


def _opened(entry: Path) -> Dataset:
    if entry.is_symlink() or any(path.is_symlink() or not path.is_file() for path in entry.iterdir()):
        raise DataError(f"the cached images {entry} are no ordinary files: delete that folder")
    try:
        images = mapped(entry / "images.npy")
        labels = np.array(mapped(entry / "labels.npy"))
        class_names = tuple(json.loads((entry / "class_names.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise DataError(f"the cached images {entry} are damaged ({error}): delete that folder") from error
    return Dataset(images, labels, class_names)
