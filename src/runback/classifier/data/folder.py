"""A folder of PNG and JPEG files, one sub-folder per class."""

import os
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from runback.classifier.data.dataset import Dataset, Split
from runback.classifier.data.image_cache import Decoding, absolute, cached, fingerprint
from runback.classifier.data.image_decoding import BATCH, SUFFIXES, decoded
from runback.classifier.data.split import TEST_FRACTION, held_out
from runback.errors import DataError

Pixels = Annotated[int, Field(ge=1, le=4096)]
Labelled = list[tuple[Path, int]]

EXPECTED = (
    "a folder with one sub-folder of PNG or JPEG images per class, or with such folders in train/ and test/"
)


def load(
    split: Split,
    *,
    cache: Path,
    path: Path | None = None,
    height: Pixels = 32,
    width: Pixels = 32,
    channels: Literal[1, 3] = 3,
    test_fraction: float = TEST_FRACTION,
) -> Dataset:
    """Return one split of the images in a folder, resized (bilinear) to `height` x `width` pixels.

    Classes are the sub-folders of `path` by name; images may lie deeper in them. Where `path` has both
    train/ and test/ (or train/ and nothing else) the classes are in there, those of train/ count for
    both. Without test/, `test_fraction` is cut off: stratified, with a fixed seed, decided from the names,
    so that no test image is opened for training. Hidden and other files are skipped. Raises DataError for
    a missing folder, less than two classes, a class without images, and a broken image (named).
    """
    root = _root(path)
    try:
        files, names = _listed(root, split, test_fraction)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    key = {
        "files": fingerprint(file for file, _ in files),
        "class_names": names,
        "image": [height, width, channels],
    }

    def decode() -> Decoding:
        items: list[tuple[str, bytes | Path]] = [(str(file), file) for file, _ in files]
        batches = [items[start : start + BATCH] for start in range(0, len(items), BATCH)]
        labels = np.array([label for _, label in files], np.int64)
        return Decoding(decoded(batches, channels=channels, size=(height, width)), labels, names)

    return cached(cache, f"folder-{split}", key, decode)


def _root(path: Path | None) -> Path:
    if path is None:
        raise DataError(f"data.path: expected {EXPECTED}; got null; set data.path=FOLDER")
    root = absolute(path)
    if not root.is_dir():
        raise DataError(f"data.path: expected {EXPECTED}; got {root}, which is no folder")
    return root


def _listed(root: Path, split: Split, test_fraction: float) -> tuple[Labelled, tuple[str, ...]]:
    """Return the split's files with their labels, in the order of their names, and the class names."""
    folders = {folder.name for folder in _folders(root)}
    if {"train", "test"} <= folders:
        names = _class_names(root / "train")
        return _labelled(root / split, names), names
    top = root / "train" if folders == {"train"} else root
    names = _class_names(top)
    files = _labelled(top, names)
    train, test = held_out(np.array([label for _, label in files]), test_fraction)
    return [files[i] for i in (train if split == "train" else test)], names


def _class_names(top: Path) -> tuple[str, ...]:
    names = tuple(folder.name for folder in _folders(top))
    if len(names) < 2:
        raise DataError(f"data.path: expected {EXPECTED}, at least two classes; got {len(names)} in {top}")
    return names


def _labelled(top: Path, names: tuple[str, ...]) -> Labelled:
    strange = [folder.name for folder in _folders(top) if folder.name not in names]
    if strange:
        raise DataError(f"{top / strange[0]}: expected one of the training classes {', '.join(names)}")
    return [(file, label) for label, name in enumerate(names) for file in _images(top / name)]


def _images(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if _is_image(name)]
    if not found:
        raise DataError(f"{folder}: expected PNG or JPEG images ({', '.join(SUFFIXES)}); got none")
    return sorted(found)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _raise(error: OSError) -> None:
    raise error  # os.walk would skip what it may not read


def _folders(top: Path) -> list[Path]:
    return sorted(entry for entry in top.iterdir() if entry.is_dir() and not entry.name.startswith("."))
