"""Finds classes and splits in the folders of a data set, by the names that people give to splits."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runback.classifier.data.reading.image_tree import ListedFiles, folders_in
from runback.errors import DataError
from runback.system.text.listing import listed

SplitName = Literal["train", "validation", "test"]

NAMES: Mapping[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What splits are called, in any case."""

WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""The words of a name: `seg_train`, `TrainSet` and `train2017` hold the name of a split."""

GENERIC = frozenset(
    {"set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "split", "folder"}
)
"""Words beside the name of a split that say nothing."""

FOLDS = re.compile(r"(k?folds?|cv|split)[ _.-]*\d+", re.IGNORECASE)

PARTS = frozenset(
    {
        *("image", "images", "img", "imgs", "jpegimages", "jpegs", "pngs", "photos", "pictures"),
        *("annotation", "annotations", "label", "labels", "mask", "masks", "meta", "metadata", "xml", "xmls"),
        *("bboxes", "boxes", "segmentation", "segmentations", "trimaps", "groundtruth", "ground_truth"),
    }
)
"""What folders are called that hold a part of each example, not a class."""

LISTED = 20
"""Names that a message lists."""

EXPECTED = (
    "a folder with one sub-folder of images per class, or with such folders in train/, val/ and test/ "
    "(val/ and test/ may be missing)"
)


@dataclass(frozen=True)
class ClassFolders:
    """The folder of each class, in each split that the folders show, and what lies beside them."""

    splits: Mapping[SplitName, Mapping[str, Path]]
    beside: ListedFiles

    @property
    def names(self) -> tuple[str, ...]:
        """The classes: those of the training split, sorted by name."""
        return tuple(self.splits["train"])


def class_folders(root: Path) -> ClassFolders:
    """Return the classes' folders in `root`, `root`/split/class or `root`/class/split.

    Raises DataError where folders of splits and others are mixed, where two are the same split, where there
    is no training split, where another split has a class that is not trained, and for less than two classes.
    """
    folders, beside = folders_in(root)
    splits = split_names([folder.name for folder in folders], root)
    if splits:
        parts = {}
        for name, part in splits.items():
            inner, more = folders_in(root / part)
            if not inner:
                raise DataError(
                    f"{root / part}: expected a folder for each class; got none and {len(more.files):,} "
                    "files: sort the images into such folders, or move it away"
                )
            parts[name] = {folder.name: folder for folder in inner}
            beside = _joined(beside, more)
        parts = _of_one_spelling(parts)
    else:
        parts, beside = _splits_in_classes(folders, root, beside)
    _check(parts, root if not splits else root / splits["train"])
    return ClassFolders(parts, beside)


def _of_one_spelling(parts: Mapping[SplitName, Mapping[str, Path]]) -> dict[SplitName, dict[str, Path]]:
    """Call classes as the training split does: Macs and others encode the same accents differently."""
    trained = parts["train"]
    spelled = {unicodedata.normalize("NFC", name): name for name in trained}
    return {
        split: {
            name if name in trained else spelled.get(unicodedata.normalize("NFC", name), name): folder
            for name, folder in folders.items()
        }
        for split, folders in parts.items()
    }


def split_names(names: Sequence[str], where: Path) -> dict[SplitName, str]:
    """Return which of these names is which split; an empty dict where none is a split's.

    Raises DataError for names that are mixed, or two of one split, or none of them to train.
    """
    known = {name: NAMES[name.lower()] for name in names if name.lower() in NAMES}
    alike = _alike(names)
    if not known and alike:
        raise DataError(
            f"data.path: {_first(alike)} in {where} look like splits, not classes: call them train, val and "
            "test, or set data.path to the folder that holds the classes"
        )
    if not known:
        return {}
    others = [name for name in names if name not in known]
    if others:
        raise DataError(
            f"data.path: expected {EXPECTED}; got splits and others in {where}: {_first(known)} beside "
            f"{_first(others)}; move the others away, or all classes into a folder train"
        )
    found: dict[SplitName, str] = {}
    for name, split in known.items():
        if split in found:
            raise DataError(
                f"data.path: expected one {split} split in {where}; got {found[split]} and {name}"
            )
        found[split] = name
    if "train" not in found:
        raise DataError(f"data.path: expected a split to train on in {where}; got {_first(known)} only")
    return found


def _splits_in_classes(
    folders: Sequence[Path], root: Path, beside: ListedFiles
) -> tuple[dict[SplitName, dict[str, Path]], ListedFiles]:
    inner = {folder.name: folders_in(folder) for folder in folders}
    divided = [name for name, (parts, _) in inner.items() if any(p.name.lower() in NAMES for p in parts)]
    if not divided:
        return {"train": {folder.name: folder for folder in folders}}, beside
    found: dict[SplitName, dict[str, Path]] = {}
    for name, (parts, more) in inner.items():
        splits = split_names([part.name for part in parts], root / name)
        if not splits:
            raise DataError(
                f"data.path: expected each class in {root} to hold the same splits; {divided[0]} has some, "
                f"{name} has none"
            )
        beside = _joined(beside, more)
        for split, part in splits.items():
            found.setdefault(split, {})[name] = root / name / part
    return found, beside


def _check(parts: Mapping[SplitName, Mapping[str, Path]], top: Path) -> None:
    names = tuple(parts["train"])
    if len(names) < 2:
        deeper = [
            top / name if (top / name).is_dir() else folder  # with its splits, if those are in it
            for name, folder in parts["train"].items()
            if len(folders_in(folder)[0]) > 1
        ]
        hint = f"; are the classes in {deeper[0]}? set data.path to it" if deeper else ""
        raise DataError(
            f"data.path: expected {EXPECTED}, at least two classes; got {len(names)} in {top}{hint}"
        )
    aspects = [name for name in names if name.lower() in PARTS]
    if len(aspects) == len(names):
        raise DataError(
            f"data.path: {_first(names)} in {top} look like parts of each example, not classes: "
            f"expected {EXPECTED}"
        )
    for folders in parts.values():
        strange = [folder for name, folder in folders.items() if name not in names]
        if strange:
            raise DataError(f"{strange[0]}: expected one of the training classes {_first(names)}")


def _alike(names: Sequence[str]) -> list[str]:
    """Return names that look like different splits of one set, or like parts of a cross-validation."""
    if len(names) > 1 and all(FOLDS.fullmatch(name) for name in names):
        return list(names)
    found: dict[tuple[str, ...], dict[str, SplitName]] = {}
    for name in names:
        words = [word.lower() for word in WORDS.findall(name)]
        splits = {NAMES[word] for word in words if word in NAMES}
        if len(splits) == 1:
            rest = tuple(word for word in words if word not in NAMES and word not in GENERIC)
            found.setdefault(rest, {})[name] = splits.pop()
    return next((list(one) for one in found.values() if len(set(one.values())) > 1), [])


def _joined(one: ListedFiles, other: ListedFiles) -> ListedFiles:
    return ListedFiles([*one.files, *other.files], [*one.left_out, *other.left_out])


def _first(names: Iterable[str]) -> str:
    return listed(list(names), LISTED)
