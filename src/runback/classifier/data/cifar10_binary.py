"""CIFAR-10 in its authors' binary format, from a folder or straight from the .tar.gz; no pickle.

A batch is a row of records of 3,073 bytes: the label, then 32 x 32 pixels as a red, a green and a blue
plane, row by row (https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version").
"""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from runback.classifier.data.dataset import Split, check_labels
from runback.classifier.data.image_cache import Decoding
from runback.errors import DataError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-bin"
ARCHIVE = "cifar-10-binary.tar.gz"
MEMBERS: dict[Split, tuple[str, ...]] = {
    "train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
    "test": ("test_batch.bin",),
}
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
MAX_BATCH = 100_000 * RECORD_BYTES
"""Bytes; CIFAR-10's own have 10,000 records. A file with holes takes no room for them on the disk."""


def from_folder(folder: Path, split: Split) -> Decoding:
    """Return one split from the .bin files in a folder; raises DataError naming a file that is amiss."""
    batches = {}
    for name in MEMBERS[split]:
        try:
            _check_size((folder / name).stat().st_size, f"{folder / name}")
            batches[name] = (folder / name).read_bytes()
        except OSError as error:
            raise DataError(f"{folder / name}: cannot be read: {error.strerror}") from error
    return _decoding(batches, f"{folder}/")


def from_archive(archive: Path, split: Split) -> Decoding:
    """Return one split from the .tar.gz, its members picked by name; nothing is extracted to the disk.

    Raises DataError when the archive is damaged (its checksum is read to the end) or lacks a batch.
    """
    try:
        batches = dict(_members(archive, split))
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{archive}: not a readable .tar.gz archive: {error}") from error
    missing = [name for name in MEMBERS[split] if name not in batches]
    if missing:
        raise DataError(f"{archive}: expected {FOLDER}/{missing[0]} in it; got none")
    return _decoding({name: batches[name] for name in MEMBERS[split]}, f"{archive}: ")


def _members(archive: Path, split: Split) -> Iterator[tuple[str, bytes]]:
    with gzip.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                name = PurePosixPath(member.name).name
                file = tar.extractfile(member) if name in MEMBERS[split] else None
                if file is not None:
                    _check_size(member.size, f"{archive}: {name}")
                    yield name, file.read()
        while stream.read(2**20):  # gzip compares its checksum at the end only
            pass


def _check_size(size: int, where: str) -> None:
    if size > MAX_BATCH:
        raise DataError(f"{where}: expected at most {MAX_BATCH:,} bytes; got {size:,}")


def _decoding(batches: dict[str, bytes], where: str) -> Decoding:
    records = [_records(batch, f"{where}{name}") for name, batch in batches.items()]
    labels = np.concatenate([batch[:, 0] for batch in records]).astype(np.int64)
    planes = (batch[:, 1:].reshape(-1, 3, SIDE, SIDE) for batch in records)
    return Decoding((batch.transpose(0, 2, 3, 1) for batch in planes), labels, CLASS_NAMES)


def _records(batch: bytes, where: str) -> np.ndarray:
    if not batch or len(batch) % RECORD_BYTES:
        raise DataError(f"{where}: expected records of {RECORD_BYTES} bytes; got {len(batch)} bytes")
    records = np.frombuffer(batch, np.uint8).reshape(-1, RECORD_BYTES)
    check_labels(records[:, 0], len(CLASS_NAMES), f"{where}: ")
    return records
