"""A folder of image files, one sub-folder per class."""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from runback.classifier.data.dataset import Dataset, Split, check_class_names
from runback.classifier.data.image_cache import absolute, identity
from runback.classifier.data.image_decoding import Item
from runback.classifier.data.reading.image_formats import (
    NO_FILE,
    NO_IMAGE,
    UNREAD_FORMAT,
    is_named_as_image,
    kind_of,
)
from runback.classifier.data.reading.image_resizing import Resize
from runback.classifier.data.reading.image_tree import LOST, files_under
from runback.classifier.data.reading.reading_report import BrokenImage, BrokenImages, Duplicates, cases
from runback.classifier.data.reading.source_splits import (
    Background,
    Depth,
    ReadingOptions,
    SourceFiles,
    SplitFiles,
    batches_of,
    load_split,
)
from runback.classifier.data.reading.split_folders import EXPECTED, SplitName, class_folders
from runback.classifier.data.split import TEST_FRACTION, held_out
from runback.errors import DataError

BESIDE = "images beside the folders of the classes"

Pixels = Annotated[int, Field(ge=1, le=4096)]


def load(
    split: Split,
    *,
    cache: Path,
    path: Path | None = None,
    height: Pixels = 32,
    width: Pixels = 32,
    channels: Literal[1, 3] = 3,
    background: Background = "white",
    depth: Depth | None = None,
    test_fraction: float = TEST_FRACTION,
    broken: BrokenImages = "refuse",
    duplicates: Duplicates = "keep",
    strict: bool = False,
    resize: Resize = "stretch",
) -> Dataset:
    """Return one split of the images in a folder, resized (bilinear) to `height` x `width` pixels.

    Classes are the sub-folders of `path` by name; images may lie deeper in them. Where the sub-folders are
    called train, training, val, valid, validation, dev, test or testing, in any case, they are splits and the
    classes are in them (or, the other way round, such folders are in each class); those of the training
    split count for all. Without a test split, `test_fraction` is cut off: stratified, with a fixed seed,
    decided from the names. What is an image is decided by content; it is decoded as an image viewer shows it
    (see `displayed`), and brought to the size as `resize` says. Raises DataError for a missing folder, less
    than two classes, a class without images, and broken images (named).
    """
    source = _source(_root(path), test_fraction)
    options = ReadingOptions(channels, (height, width), background, depth, broken, duplicates, strict, resize)
    return load_split(source, split, options, cache)


@dataclass
class _Listing:
    """The images of classes' folders, in order, and what else is there."""

    items: list[Item] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    keys: list[tuple[Any, ...]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def _root(path: Path | None) -> Path:
    if path is None:
        raise DataError(f"data.path: expected {EXPECTED}; got null; set data.path=FOLDER")
    root = absolute(path)
    if not root.is_dir():
        raise DataError(f"data.path: expected {EXPECTED}; got {root}, which is no folder")
    return root


def _source(root: Path, test_fraction: float) -> SourceFiles:
    folders = class_folders(root)
    check_class_names(folders.names, "data.path: ")
    listings = {split: _listed(classes, folders.names, root) for split, classes in folders.splits.items()}
    splits: dict[SplitName, SplitFiles] = {split: _files(one) for split, one in listings.items()}
    if "test" not in splits:
        whole = listings["train"]
        train, test = held_out(np.array(whole.labels), test_fraction)
        splits |= {"train": _files(whole, train), "test": _files(whole, test)}
    beside = [(kind, _relative(file, root)) for kind, file in folders.beside.left_out]
    for file in folders.beside.files:
        is_image = isinstance(_looked_at(file, _relative(file, root))[0], Path)
        beside.append((BESIDE if is_image else NO_IMAGE, _relative(file, root)))
    left_out = cases([*beside, *(one for listing in listings.values() for one in listing.left_out)])
    return SourceFiles("folder", root, f"{root}/", folders.names, splits, left_out)


def _listed(classes: Mapping[str, Path], names: Sequence[str], root: Path) -> _Listing:
    """Return the images of each class, sorted by their paths."""
    listing = _Listing()
    for label, name in enumerate(names):
        if name not in classes:
            continue
        found = files_under(classes[name])
        before = len(listing.items)
        for file in found.files:
            relative = _relative(file, root)
            source, key = _looked_at(file, relative)
            if isinstance(source, str):
                listing.left_out.append((source, relative))
            else:
                listing.items.append((relative, source))
                listing.labels.append(label)
                listing.keys.append(key)
        listing.left_out += [(kind, _relative(path, root)) for kind, path in found.left_out]
        if len(listing.items) == before:
            raise DataError(
                f"{classes[name]}: expected images; got none{_others(listing, found.files, root)}"
            )
    return listing


def _others(listing: _Listing, files: Sequence[Path], root: Path) -> str:
    """Say what there is in the folder of a class that has no images."""
    names = {_relative(file, root) for file in files}
    unread = [name for kind, name in listing.left_out if kind == UNREAD_FORMAT and name in names]
    if unread:
        return (
            f", but {len(unread):,} of a format that is not read, such as {unread[0]}; convert them to JPEG "
            "or PNG"
        )
    return f", but {len(files):,} other files" if files else ""


def _looked_at(file: Path, relative: str) -> tuple[Path | BrokenImage | str, tuple[Any, ...]]:
    """Return an image's file, or why it is broken, or as what else it is left out; and what decides that."""
    try:
        status = file.stat()
    except OSError as error:
        if is_named_as_image(relative):
            reason = f"cannot be read: {error.strerror}"
            return BrokenImage(relative, reason), (str(file), reason)
        return LOST, ()
    if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
        if is_named_as_image(relative):
            reason = "expected an ordinary file; it is none"
            return BrokenImage(relative, reason), (str(file), reason)
        return NO_FILE, ()
    found = kind_of(file, relative)
    key: tuple[Any, ...] = (str(file), *identity(status))
    if found.kind == "other":
        return found.detail, key
    if found.kind == "image":
        return file, key
    return BrokenImage(relative, found.detail), (*key, found.detail)


def _files(listing: _Listing, rows: np.ndarray | None = None) -> SplitFiles:
    rows = np.arange(len(listing.items)) if rows is None else rows
    items = [listing.items[row] for row in rows]
    return SplitFiles(
        labels=np.array(listing.labels, np.int64)[rows],
        names=[name for name, _ in items],
        key=[listing.keys[row] for row in rows],
        batches=partial(batches_of, items),
    )


def _relative(file: Path, root: Path) -> str:
    return str(file)[len(str(root)) :].lstrip("/")
