"""Images and labels in the columns of parquet files, the layout of data set hubs."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from runback.classifier.data.dataset import Dataset, Split, check_labels
from runback.classifier.data.image_cache import Decoding, absolute, cached, fingerprint
from runback.classifier.data.parquet_columns import read_class_names, read_images, read_labels
from runback.classifier.data.split import TEST_FRACTION, TEST_SEED, held_out
from runback.errors import DataError, InputError

Pixels = Annotated[int, Field(ge=1, le=4096)]


def load(
    split: Split,
    *,
    cache: Path,
    path: Path | None = None,
    image_column: str = "image",
    label_column: str = "label",
    class_names: tuple[str, ...] | None = None,
    height: Pixels | None = None,
    width: Pixels | None = None,
    channels: Literal[1, 3] = 3,
    test_fraction: float = TEST_FRACTION,
) -> Dataset:
    """Return one split of a parquet file, or of a folder with train.parquet and test.parquet.

    `image_column` holds PNG or JPEG bytes or a struct with a field `bytes`; `label_column` integers from
    0. Class names come from `class_names`, else from Hugging Face's metadata, else they are "0", "1", …
    Images are resized (bilinear) to `height` x `width` pixels; without these all must have one size. A
    single file is cut by `test_fraction`: stratified, with a fixed seed. Raises DataError that names the
    file and, where there is one, the row (from 0).
    """
    files = _files(path)
    size = _size(height, width)
    key = {
        "files": fingerprint(files.values()),
        "columns": [image_column, label_column],
        "class_names": class_names,
        "image": [size, channels],
        "test": [test_fraction, TEST_SEED] if len(files) == 1 else None,
    }

    def decode() -> Decoding:
        names = class_names or _class_names(files["train"], label_column)
        file = files.get(split, files["train"])
        labels = read_labels(file, label_column)
        check_labels(labels, len(names), f"{file}: ")
        rows = np.arange(len(labels))
        if len(files) == 1:
            rows = held_out(labels, test_fraction)[0 if split == "train" else 1]
        blocks = read_images(file, image_column, rows, channels=channels, size=size)
        return Decoding(blocks, labels[rows], names)

    return cached(cache, f"parquet-{split}", key, decode)


def _files(path: Path | None) -> dict[Split, Path]:
    """Return the files by split; a single one, to be cut in two, is called train."""
    expected = "a parquet file, or a folder with train.parquet and test.parquet"
    if path is None:
        raise DataError(f"data.path: expected {expected}; got null; set data.path=PATH")
    path = absolute(path)
    if path.is_file():
        return {"train": path}
    found: dict[Split, Path] = {"train": path / "train.parquet"}
    if not found["train"].is_file():
        raise DataError(
            f"data.path: expected {expected}; got {path}"
            + ("" if path.is_dir() else ", which does not exist")
        )
    if (path / "test.parquet").is_file():
        found["test"] = path / "test.parquet"
    return found


def _class_names(file: Path, column: str) -> tuple[str, ...]:
    names = read_class_names(file, column)
    if names:
        return names
    labels = read_labels(file, column)
    highest = int(labels.max(initial=0))
    if highest >= len(labels):
        raise DataError(
            f"{file}: expected labels from 0 without large gaps; got {highest} in {len(labels)} rows"
        )
    return tuple(str(label) for label in range(highest + 1))


def _size(height: int | None, width: int | None) -> tuple[int, int] | None:
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise InputError(f"data.height and data.width must be set together; got {height} and {width}")
    return height, width
