"""CIFAR-10: 60,000 colour images of 32 x 32 pixels in ten classes, from wherever they are at hand."""

import os
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from runback.classifier.data import cifar10_binary, download, parquet
from runback.classifier.data.dataset import Dataset, Split
from runback.classifier.data.image_cache import Decoding, absolute, cached, fingerprint
from runback.classifier.data.image_decoding import decoded
from runback.classifier.data.parquet_columns import encoded_images
from runback.classifier.data.reading.array_origin import with_origin
from runback.errors import DataError

URL = f"https://www.cs.toronto.edu/~kriz/{cifar10_binary.ARCHIVE}"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
"""The checksum of the authors' archive, 170,052,171 bytes."""

IMAGES = "img"
"""The column of the images."""

TABLES = ("train.parquet", "test.parquet")
ENVIRONMENT = "RUNBACK_CIFAR10"
EXPECTED = (
    "a folder with train.parquet and test.parquet (columns img and label), with data_batch_1.bin to "
    f"test_batch.bin, or with {cifar10_binary.ARCHIVE}"
)
INSTEAD = (
    f"without a network, set data.path or ${ENVIRONMENT} to {cifar10_binary.ARCHIVE} "
    "or to the folder that holds it"
)


def load(
    split: Split,
    *,
    cache: Path,
    path: Path | None = None,
    url: str = URL,
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] = SHA256,
) -> Dataset:
    """Return the 50,000 training or 10,000 test images, uint8 of shape (n, 32, 32, 3).

    Read from `path`, else from what the environment variable RUNBACK_CIFAR10 names, else from the authors'
    archive at `url`, downloaded into `cache` once and checked against `sha256`. `path` is a folder (parquet
    files, binary batches, or the archive) or the archive itself. Raises DataError when nothing is there,
    when it is damaged, or when the download fails.
    """
    named = path or os.environ.get(ENVIRONMENT)
    source = absolute(Path(named)) if named else None
    if source is not None and any((source / name).is_file() for name in TABLES):
        return _from_tables(source, split, cache)

    def load_split(split: Split) -> Dataset:
        return _downloaded(split, cache, url, sha256) if source is None else _local(split, cache, source)

    if split == "test":
        return load_split("test")
    return with_origin(load_split("train"), load_split("test"), f"cifar10 {source or url}")


def _downloaded(split: Split, cache: Path, url: str, sha256: str) -> Dataset:
    def decode_archive() -> Decoding:
        archive = download.archive(url, sha256, cache=cache, name=cifar10_binary.ARCHIVE, instead=INSTEAD)
        return cifar10_binary.from_archive(archive, split)

    return cached(cache, f"cifar10-{split}", {"sha256": sha256}, decode_archive)


def _local(split: Split, cache: Path, path: Path) -> Dataset:
    """Return a split in the authors' format, from a folder or the archive."""
    for folder in (path, path / cifar10_binary.FOLDER):
        if any((folder / name).is_file() for name in chain(*cifar10_binary.MEMBERS.values())):
            files = _present([folder / name for name in cifar10_binary.MEMBERS[split]])
            return _cached(split, cache, files, partial(cifar10_binary.from_folder, folder, split))
    archive = path / cifar10_binary.ARCHIVE if path.is_dir() else path
    if archive.is_file():
        return _cached(split, cache, [archive], partial(cifar10_binary.from_archive, archive, split))
    got = f"{path} without these" if path.is_dir() else f"{path}, which does not exist"
    raise DataError(f"data.path or ${ENVIRONMENT}: expected {EXPECTED}; got {got}")


def _cached(split: Split, cache: Path, files: list[Path], decode: Callable[[], Decoding]) -> Dataset:
    return cached(cache, f"cifar10-{split}", {"files": fingerprint(files)}, decode)


def _present(files: list[Path]) -> list[Path]:
    for file in files:
        if not file.is_file():
            raise DataError(
                f"data.path or ${ENVIRONMENT}: expected {file.name} beside the others; got no {file}"
            )
    return files


def _from_tables(folder: Path, split: Split, cache: Path) -> Dataset:
    for file in _present([folder / name for name in TABLES]):
        _check_size(file)
    names = cifar10_binary.CLASS_NAMES
    return parquet.load(split, cache=cache, path=folder, image_column=IMAGES, class_names=names)


def _check_size(file: Path) -> None:
    """Raise DataError where the first image of a file, whose size all others have, has not CIFAR's."""
    for block in decoded(encoded_images(file, IMAGES, np.arange(1), str(file))):
        if block.shape[1:3] != (cifar10_binary.SIDE, cifar10_binary.SIDE):
            raise DataError(
                f"{file}: expected images of 32 x 32 pixels; got {block.shape[1]} x {block.shape[2]}"
            )
        return
