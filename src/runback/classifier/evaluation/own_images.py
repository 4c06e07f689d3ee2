"""Images of one's own, to evaluate a network on besides its test split."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runback.classifier.data import folder, parquet
from runback.classifier.data.dataset import Dataset
from runback.errors import DataError

_ROW = re.compile(r"(.*) row (\d+)")
"""The name of an image in a row of parquet."""

MOST_OOD = 1_000
"""The most images of another data set that a network is asked about."""


def own_images(
    path: Path, shape: tuple[int, int, int], class_names: Sequence[str], cache: Path
) -> tuple[Dataset, list[str]]:
    """Return all images of a folder with one of each class, or of parquet, and their names.

    They are in the order of these: by path, and by row. They are resized to `shape` (height, width,
    channels); labels are positions in `class_names`. Errors: DataError, also where the classes are others.
    """
    parts = _parts(path, shape, cache)
    found = parts[0].class_names
    if set(found) != set(class_names):
        others = sorted({*found} ^ {*class_names})
        raise DataError(
            f"{path}: expected the classes that the network was trained on, {', '.join(class_names[:10])}; "
            f"different: {', '.join(map(repr, others[:5]))}"
        )
    place = np.array([list(class_names).index(name) for name in found])
    images = Dataset(
        np.concatenate([np.asarray(one.images[:]) for one in parts]),
        np.concatenate([place[one.labels] for one in parts]),
        tuple(class_names),
    )
    names = _names(parts, len(images))
    order = sorted(range(len(names)), key=lambda row: _place(names[row]))
    return images.take(np.array(order)), [names[row] for row in order]


def ood_images_in(path: Path, shape: tuple[int, int, int], cache: Path) -> np.ndarray:
    """Return at most 1,000 images of a folder or of parquet, of whatever classes. Errors: DataError."""
    images = np.concatenate([np.asarray(one.images[:]) for one in _parts(path, shape, cache)])
    return images[:: max(1, -(-len(images) // MOST_OOD))]


def _parts(path: Path, shape: tuple[int, int, int], cache: Path) -> list[Dataset]:
    """Return the splits at a path: train, validation if there is one, test."""
    height, width, channels = shape
    is_parquet = path.suffix == ".parquet" or (path.is_dir() and any(path.glob("*.parquet")))
    options = {"cache": cache, "path": path, "height": height, "width": width, "channels": channels}
    load: Any = parquet.load if is_parquet else folder.load
    train, test = (load(split, **options) for split in ("train", "test"))
    return [one for one in (train, train.validation, test) if one is not None]


def _names(parts: Sequence[Dataset], n: int) -> list[str]:
    found: list[str] = []
    for one in parts[:-1]:
        found += [] if one.origin is None else map(str, one.origin.names)
    report = None if parts[0].origin is None else parts[0].origin.report
    found += [] if report is None or report.test_names is None else map(str, report.test_names)
    return found if len(found) == n else [str(row) for row in range(n)]


def _place(name: str) -> tuple[str, int]:
    """Return what images are put in order by: a path, and the row in it."""
    match = _ROW.fullmatch(name)
    return (match[1], int(match[2])) if match else (name, 0)
