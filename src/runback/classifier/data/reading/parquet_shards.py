"""Finds the parquet files of each split, by the names that people and data set hubs give them."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runback.classifier.data.reading.split_folders import NAMES, SplitName
from runback.errors import DataError

SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d+)-of-(?P<total>\d+)(-[0-9a-f]+)?")
"""The stem of a file that holds a part of a split, as Hugging Face's hub names it."""

ALIKE = re.compile(r"^[^.].*\.(parquet|parq|pq)\b")
"""The names of parquet files, also before they are complete."""

MAX_SHARDS = 100_000

EXPECTED = "a parquet file, or a folder with train.parquet, validation.parquet and test.parquet"

UNUSED = "parquet files of no split"


@dataclass
class ParquetSplits:
    """The files of each split, in their order, and those of none."""

    files: dict[SplitName, list[Path]] = field(default_factory=dict)
    left_out: list[tuple[str, Path]] = field(default_factory=list)


def parquet_splits(path: Path) -> ParquetSplits:
    """Return the files of a data set: one file, or a folder's, in it or in its sub-folder data.

    A split is one file (train.parquet), shards (train-00000-of-00002.parquet) or a folder of files
    (train/0000.parquet); for its names see `split_folders.NAMES`. Raises DataError where there is none to
    train on, where a shard is missing, and where a split is there in two ways.
    """
    if path.is_file():
        return ParquetSplits({"train": [path]})
    for folder in (path, path / "data"):
        found = _in_folder(folder) if folder.is_dir() else ParquetSplits()
        if "train" in found.files:
            found.left_out += [(UNUSED, file) for file in _others(path, found)]
            return found
    got = f"{path}" if path.is_dir() else f"{path}, which does not exist"
    raise DataError(f"data.path: expected {EXPECTED}; got {got}{_beside(path)}")


def _others(path: Path, found: ParquetSplits) -> list[Path]:
    """Return the parquet files under a folder, those of unfinished downloads too, that have no use yet."""
    used = {file for files in found.files.values() for file in files} | {file for _, file in found.left_out}
    names = (Path(top, name) for top, _, files in os.walk(path) for name in files)
    return sorted(file for file in names if file not in used and ALIKE.search(file.name.lower()))


def _in_folder(folder: Path) -> ParquetSplits:
    found = ParquetSplits()
    shards: dict[tuple[str, int], dict[int, Path]] = {}
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            inner = _parquet_in(entry) if entry.name.lower() in NAMES else []
            if inner:
                _add(found, NAMES[entry.name.lower()], _whole_or_shards(inner), entry)
            continue
        if entry.suffix.lower() != ".parquet":
            continue
        shard = SHARD.fullmatch(entry.stem)
        name = (shard["split"] if shard else entry.stem).lower()
        if name not in NAMES:
            found.left_out.append((UNUSED, entry))
        elif shard:
            numbered = shards.setdefault((shard["split"], int(shard["total"])), {})
            other = numbered.setdefault(int(shard["number"]), entry)
            if other != entry:
                raise DataError(f"{folder}: expected each shard once; got {other.name} and {entry.name}")
        else:
            _add(found, NAMES[name], [entry], entry)
    for (name, total), numbered in shards.items():
        _add(found, NAMES[name.lower()], _complete(numbered, total), next(iter(numbered.values())))
    return found


def _add(found: ParquetSplits, split: SplitName, files: list[Path], entry: Path) -> None:
    if split in found.files:
        raise DataError(
            f"data.path: expected one {split} split in {entry.parent}; got {found.files[split][0].name} and "
            f"{entry.name}"
        )
    found.files[split] = files


def _whole_or_shards(files: Sequence[Path]) -> list[Path]:
    """Return the files of a split's folder; where they are numbered as shards, none may be missing."""
    shards = [SHARD.fullmatch(file.stem) for file in files]
    numbered = {int(shard["number"]): file for shard, file in zip(shards, files, strict=True) if shard}
    totals = {int(shard["total"]) for shard in shards if shard}
    if len(numbered) == len(files) and len(totals) == 1:
        return _complete(numbered, totals.pop())
    return list(files)


def _complete(numbered: dict[int, Path], total: int) -> list[Path]:
    first = next(iter(numbered.values()))
    if total > MAX_SHARDS:
        raise DataError(f"{first}: expected at most {MAX_SHARDS:,} shards; got {total}")
    missing = [number for number in range(total) if number not in numbered]
    if missing:
        shard = SHARD.fullmatch(first.stem)
        digits = len(shard["number"]) if shard else 1
        name = re.sub(r"-\d+-of-", f"-{missing[0]:0{digits}}-of-", first.name, count=1)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{first.parent}: expected {total} shards; {name}{more} missing")
    strange = [file for number, file in numbered.items() if number >= total]
    if strange:
        raise DataError(f"{strange[0]}: expected shards 0 to {total - 1}")
    return [numbered[number] for number in range(total)]


def _parquet_in(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    return sorted(file for file in files if file.suffix.lower() == ".parquet")


def _beside(path: Path) -> str:
    names = [file.name for file in _parquet_in(path)] if path.is_dir() else []
    return f" with {', '.join(names[:10])}" if names else ""
