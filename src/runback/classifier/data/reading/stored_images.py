"""Images in a file, read as they are asked for: a set of them may be larger than memory."""

import math
import mmap
import os
import weakref
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from runback.errors import DataError

BLOCK_BYTES = 2**20
"""Bytes of the blocks in which images are gone through one by one."""

SAMPLE_BYTES = 2**28
"""Bytes of the images by which a network's parts are adapted: more than all of CIFAR-10."""


class _OpenFile:
    """A file open for reading until nobody has it any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor)


class StoredImages:
    """Images of shape (n, height, width, channels), uint8, that lie one behind the other in a file.

    Has an array's `shape`, `dtype`, `nbytes` and length, and gives arrays in memory when it is indexed along
    its first axis. The file is read, not mapped: pages of a mapping are a process's own memory while no other
    process maps them, and a mapped file that is cut short kills the process.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, file: _OpenFile, offset: int, shape: tuple[int, ...], rows: np.ndarray) -> None:
        """Take `shape` (height, width, channels), and the images at these `rows` (from 0) behind `offset`."""
        self._file, self._offset, self._rows = file, offset, rows
        self.shape = (len(rows), *shape)
        self._size = math.prod(shape)
        self.nbytes = len(rows) * self._size

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read an image (by an integer), or several (by a slice or an array). Errors: DataError."""
        if isinstance(key, (int, np.integer)):
            return self._read(self._rows[key].reshape(1))[0]
        return self._read(self._rows[key])

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in blocks(self):
            yield from block

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def take(self, rows: Any) -> Self:
        """Return the images at these rows (a slice, or integers of shape (m,)); none is read."""
        return type(self)(self._file, self._offset, self.shape[1:], self._rows[rows])

    def _read(self, rows: np.ndarray) -> np.ndarray:
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        room = images.reshape(-1).data
        starts = np.flatnonzero(np.diff(rows, prepend=-2) != 1).tolist()  # of runs of neighbours in the file
        for start, end in pairwise([*starts, len(rows)]):
            self._fill(room[start * self._size : end * self._size], int(rows[start]))
        return images

    def _fill(self, room: memoryview, row: int) -> None:
        position = self._offset + row * self._size
        while room:
            try:
                count = os.preadv(self._file.descriptor, [room], position)
            except OSError as error:
                raise DataError(f"{self._file.path}: cannot be read: {error.strerror}") from error
            if not count:
                raise DataError(
                    f"{self._file.path}: expected an image at byte {position:,}; the file ends before it"
                )
            room, position = room[count:], position + count


def blocks(images: "np.ndarray | StoredImages", size: int = BLOCK_BYTES) -> Iterator[np.ndarray]:
    """Yield all images, in order, in blocks of at most `size` bytes, or of one image if that is larger."""
    step = max(1, size // max(1, math.prod(images.shape[1:])))
    stored = unmapped(images)
    for start in range(0, len(stored), step):
        yield stored[start : start + step]


def sample(images: "np.ndarray | StoredImages", size: int = SAMPLE_BYTES) -> tuple[np.ndarray, int]:
    """Return every k-th image from the first on, at most `size` bytes of them in memory, and k."""
    step = max(1, math.ceil(images.nbytes / size))
    return np.asarray(unmapped(images)[::step]), step


def unmapped(images: "np.ndarray | StoredImages") -> "np.ndarray | StoredImages":
    """Return what reads the images that a memory map shows from its file; anything else as it is.

    A map in which values may have been written that its file does not get (mode `c`), one that is not in C
    order, and one of a file that is no longer there stay as they are.
    """
    root = _mapping(images)
    if (
        root is None
        or not isinstance(images, np.memmap)
        or images.mode == "c"
        or not images.flags.c_contiguous
    ):
        return images
    begin = images.offset - images.offset % mmap.ALLOCATIONGRANULARITY  # of the map, in the file
    offset = begin + images.ctypes.data - np.frombuffer(root, np.uint8).ctypes.data
    try:
        file = _OpenFile(Path(images.filename))  # type: ignore[arg-type]
    except (OSError, TypeError):
        return images
    return StoredImages(file, offset, images.shape[1:], np.arange(len(images)))


def _mapping(images: Any) -> mmap.mmap | None:
    """Return the map that an array lies in, or None."""
    while isinstance(images, np.ndarray):
        images = images.base
    return images if isinstance(images, mmap.mmap) else None
