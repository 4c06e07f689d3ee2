"""Images and labels in the columns of parquet files, the layout of data set hubs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from runback.classifier.data.dataset import Dataset, Split
from runback.classifier.data.image_cache import absolute, fingerprint
from runback.classifier.data.image_decoding import Item
from runback.classifier.data.parquet_columns import (
    check_image_column,
    encoded_images,
    read_class_names,
    read_label_column,
    read_texts,
)
from runback.classifier.data.reading.class_labels import LabelColumn, positions
from runback.classifier.data.reading.image_resizing import Resize
from runback.classifier.data.reading.parquet_shards import EXPECTED, ParquetSplits, parquet_splits
from runback.classifier.data.reading.reading_report import BrokenImages, Duplicates, cases
from runback.classifier.data.reading.source_splits import (
    Background,
    Depth,
    ReadingOptions,
    SourceFiles,
    SplitFiles,
    load_split,
)
from runback.classifier.data.reading.split_folders import NAMES, SplitName
from runback.classifier.data.split import TEST_FRACTION, held_out
from runback.errors import DataError, InputError
from runback.system.text.listing import listed

SPLIT_COLUMNS = ("split", "set", "subset", "partition", "fold", "usage")
"""Names of columns in which people say the split of a row."""

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
    background: Background = "white",
    depth: Depth | None = None,
    test_fraction: float = TEST_FRACTION,
    broken: BrokenImages = "refuse",
    duplicates: Duplicates = "keep",
    strict: bool = False,
    resize: Resize = "stretch",
) -> Dataset:
    """Return one split of a parquet file, or of a folder with a file, or shards, for each split.

    `image_column` holds the bytes of images or a struct with a field `bytes`; `label_column` numbers or
    names. Class names come from `class_names`, else from Hugging Face's metadata, else they are the labels in
    use, sorted (see `class_labels.positions`). Images are decoded as an image viewer shows them (see
    `displayed`) and resized (bilinear) to `height` x `width` pixels, as `resize` says; without these all must
    have one size.
    Where no file is the test split, `test_fraction` is cut off: stratified, with a fixed seed. Raises
    DataError that names the file and, where there is one, the row (from 0).
    """
    found = _files(path)
    size = _size(height, width)
    if size is None and resize != "stretch":
        raise InputError(f"data.resize={resize} needs a size to resize to: set data.height and data.width")
    source = _source(found, absolute(path or Path()), image_column, label_column, class_names, test_fraction)
    options = ReadingOptions(channels, size, background, depth, broken, duplicates, strict, resize)
    return load_split(source, split, options, cache)


def _files(path: Path | None) -> ParquetSplits:
    if path is None:
        raise DataError(f"data.path: expected {EXPECTED}; got null; set data.path=PATH")
    return parquet_splits(absolute(path))


def _source(
    found: ParquetSplits,
    path: Path,
    image_column: str,
    label_column: str,
    class_names: tuple[str, ...] | None,
    test_fraction: float,
) -> SourceFiles:
    columns = {split: _labels(files, label_column) for split, files in found.files.items()}
    stored = _stored_names(found, label_column)
    labels, names, notes = positions(columns, class_names, stored)
    root = path if path.is_dir() else path.parent
    if len(found.files) == 1:
        _refuse_split_column(found.files["train"], label_column)
    splits: dict[SplitName, SplitFiles] = {}
    for split, files in found.files.items():
        table = _Table(files, columns[split], labels[split], root, image_column, label_column)
        if split == "train" and "test" not in found.files:
            train, test = held_out(labels[split], test_fraction)
            splits |= {
                "train": table.rows(train, [test_fraction, 0]),
                "test": table.rows(test, [test_fraction, 1]),
            }
        else:
            splits[split] = table.rows(np.arange(len(labels[split])), None)
    left_out = cases((kind, str(file.relative_to(root))) for kind, file in found.left_out)
    return SourceFiles("parquet", path, f"{root}/", names, splits, left_out, notes)


@dataclass(frozen=True)
class _Table:
    """The rows of one split, in its files one after the other."""

    files: Sequence[Path]
    column: LabelColumn
    labels: np.ndarray
    root: Path
    image_column: str
    label_column: str

    def rows(self, rows: np.ndarray, cut: Any) -> SplitFiles:
        """Return the images at `rows` (rising, from 0); `cut` says how these were chosen."""
        parts = []
        start = 0
        for file, (_, n) in zip(self.files, self.column.files, strict=True):
            check_image_column(file, self.image_column)
            inner = rows[(rows >= start) & (rows < start + n)] - start
            parts.append((file, str(file.relative_to(self.root)), inner))
            start += n
        return SplitFiles(
            labels=self.labels[rows],
            names=[f"{name} row {row}" for _, name, inner in parts for row in inner],
            key=[fingerprint(self.files), self.image_column, self.label_column, cut],
            batches=partial(_batches, parts, self.image_column),
        )


def _refuse_split_column(files: Sequence[Path], label_column: str) -> None:
    """Refuse a file that says itself, in a column, which split its rows are in. Errors: DataError."""
    for file in files:
        for column, given in read_texts(file, SPLIT_COLUMNS).items():
            if column != label_column and any(one.lower() in NAMES for one in given):
                raise DataError(
                    f"{file}: its column {column!r} says the split of each row ({listed(given, 5)}), which "
                    "is not read: write the rows of each split into a file of its own, or drop the column"
                )


def _stored_names(found: ParquetSplits, column: str) -> tuple[str, ...] | None:
    """Return the class names in the training split's first file. Errors: DataError where others differ."""
    first = found.files["train"][0]
    names = read_class_names(first, column)
    if names is None:
        return None
    for file in chain(*found.files.values()):
        others = read_class_names(file, column)
        if others is not None and others != names:
            raise DataError(
                f"{file}: expected the class names of {first.name}, in its order: "
                f"{', '.join(names):.200}; got {', '.join(others):.200}"
            )
    return names


def _labels(files: Sequence[Path], column: str) -> LabelColumn:
    parts = [read_label_column(file, column) for file in files]
    rows = [(str(file), len(part)) for file, part in zip(files, parts, strict=True)]
    if len({part.dtype for part in parts}) > 1:
        raise DataError(f"{files[0]}: expected labels of one type in all its shards")
    return LabelColumn(np.concatenate(parts), rows)


def _batches(files: Sequence[tuple[Path, str, np.ndarray]], image_column: str) -> Iterator[list[Item]]:
    for file, name, rows in files:
        yield from encoded_images(file, image_column, rows, name)


def _size(height: int | None, width: int | None) -> tuple[int, int] | None:
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise InputError(f"data.height and data.width must be set together; got {height} and {width}")
    return height, width
