"""Images with their labels: what every source of data returns."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from runback.classifier.data.reading.reading_report import Origin
from runback.classifier.data.reading.stored_images import StoredImages, unmapped
from runback.errors import DataError

MAX_CLASSES = 100_000

MAX_NAME = 255
"""Characters of the name of a class: as many as a folder's can have."""

Split = Literal["train", "test"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images of one size; raises DataError when the three parts do not fit together.

    `images` are uint8 of shape (n, height, width, channels) with 1 or 3 channels, in memory, mapped from a
    file, or read from it (`StoredImages`). `labels` are int64 of shape (n,): positions in `class_names`. A
    training split can bring the `validation` split that its source sets apart, and its `origin`.
    """

    images: np.ndarray | StoredImages
    labels: np.ndarray
    class_names: tuple[str, ...]
    validation: "Dataset | None" = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _check_images(self.images)
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"expected one int64 label for each of the {len(self.images)} images; "
                f"got {self.labels.dtype} of shape {self.labels.shape}"
            )
        check_class_names(self.class_names)
        check_labels(self.labels, len(self.class_names))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Self:
        """Return the images at these positions (integers of shape (m,), from 0), in the order given.

        Images in a file stay there. Of an array in memory a run of neighbours is a view, all else a copy.
        """
        indices = np.asarray(indices)
        first = int(indices[0]) if len(indices) else 0
        is_run = first >= 0 and np.array_equal(indices, np.arange(first, first + len(indices)))
        rows = slice(first, first + len(indices)) if is_run else indices
        origin = None if self.origin is None else self.origin.take(rows)
        images = self.images if is_run else unmapped(self.images)
        taken = images.take(rows) if isinstance(images, StoredImages) else images[rows]
        return type(self)(taken, self.labels[rows], self.class_names, self.validation, origin)


def check_class_names(class_names: tuple[str, ...], where: str = "") -> None:
    """Raise DataError unless there are two to `MAX_CLASSES` class names, all different, and all text.

    `where` opens the message: `"birds.parquet: "`.
    """
    if len(class_names) < 2:
        raise DataError(f"{where}expected at least two classes; got {len(class_names)}: {class_names}")
    if len(class_names) > MAX_CLASSES:
        raise DataError(f"{where}expected at most {MAX_CLASSES:,} classes; got {len(class_names):,}")
    raw = [name for name in class_names if any("\ud800" <= one <= "\udfff" for one in name)]
    if raw:  # a folder's name may hold any bytes
        raise DataError(f"{where}expected class names in UTF-8; got {raw[0]!r}")
    if not all(name.strip() for name in class_names):
        raise DataError(f"{where}expected class names; got {min(class_names)!r}, an empty one")
    longest = max(class_names, key=len)
    if len(longest) > MAX_NAME:
        raise DataError(f"{where}expected class names of at most {MAX_NAME} characters; got {longest:.50}…")
    if len(set(class_names)) < len(class_names):
        twice = min(name for name, count in Counter(class_names).items() if count > 1)
        raise DataError(f"{where}expected different class names; got {twice!r} more than once")


def check_labels(labels: np.ndarray, num_classes: int, where: str = "") -> None:
    """Raise DataError naming the first label (rows count from 0) outside 0..num_classes-1.

    `where` opens the message: `"birds.parquet: "`.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= num_classes))
    if len(wrong):
        more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DataError(
            f"{where}labels out of range: expected 0..{num_classes - 1}; "
            f"got {labels[wrong[0]]} at row {wrong[0]}{more}"
        )


def _check_images(images: np.ndarray | StoredImages) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(
            "expected uint8 images of shape (n, height, width, 1 or 3); "
            f"got {images.dtype} of shape {images.shape}"
        )
    if 0 in images.shape:
        raise DataError(f"expected at least one image of at least one pixel; got shape {images.shape}")
