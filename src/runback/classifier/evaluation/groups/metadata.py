"""What is known of images besides their pixels: a table, joined to them by file name, number or order."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from runback.errors import InputError

FILE, INDEX = "file", "index"
"""The columns by which a table is joined; without them its rows are in the images' order."""

MOST_VALUES = 50
"""The most groups that a column may make."""

QUARTERS_ABOVE = 12
"""Different numbers in a column from which on they are cut into quarters."""

CLASS = "class"
"""The name of the grouping by class."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Images in groups: the groups' names, and each image's, as a position in them (n,)."""

    name: str
    groups: tuple[str, ...]
    of_image: np.ndarray


def read_metadata(file: Path, names: Sequence[str]) -> pd.DataFrame:
    """Return a row for each of the images with these names, in their order, without the joining column.

    Errors: InputError for a file that cannot be read, images that it does not have, and others.
    """
    table = _read(file)
    if FILE in table:
        return _by_file(table, names, file)
    if INDEX in table:
        numbers = pd.to_numeric(table[INDEX], errors="coerce").to_numpy()
        if not np.array_equal(np.sort(numbers), np.arange(len(names))):
            raise InputError(
                f"{file}: expected each number from 0 to {len(names) - 1:,} once in its column "
                f"{INDEX}, one for "
                f"each test image; got {len(numbers):,}, from {table[INDEX].iloc[0]!a:.40} on"
            )
        return table.drop(columns=INDEX).iloc[np.argsort(numbers)].reset_index(drop=True)
    if len(table) != len(names):
        raise InputError(
            f"{file}: expected a row for each of the {len(names):,} test images, or a column {FILE} "
            f"or {INDEX}; "
            f"got {len(table):,} rows"
        )
    return table


def groupings(table: pd.DataFrame, columns: Sequence[str] | None = None) -> tuple[list[Grouping], list[str]]:
    """Return a grouping for each column, or each of these, and what was done to its values, in sentences.

    Errors: InputError for a column that there is not, or that has too many values.
    """
    unknown = [name for name in columns or () if name not in table]
    if unknown:
        raise InputError(
            f"metadata: expected one of {', '.join(map(str, table.columns))}; got {unknown[0]!a:.80}"
        )
    made, notes = [], []
    for name in columns or table.columns:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column) and column.nunique() > QUARTERS_ABOVE:
            column = pd.qcut(column.astype(float).replace([np.inf, -np.inf], np.nan), 4, duplicates="drop")
            notes.append(f"{name}: numbers, cut into quarters")
        missing = int(column.isna().sum())
        if missing:
            notes.append(f"{name}: {missing:,} images without a value are a group of their own")
        texts = column.astype(object).where(column.notna(), "no value").map(str)
        if texts.nunique() > MOST_VALUES:
            raise InputError(
                f"metadata: column {name!a:.80} has {texts.nunique():,} values; groups may be "
                f"{MOST_VALUES} at most"
            )
        codes, values = pd.factorize(texts, sort=True)
        made.append(Grouping(str(name), tuple(values), np.asarray(codes)))
    return made, notes


def by_class(labels: np.ndarray, class_names: Sequence[str]) -> Grouping:
    """Return the grouping by class."""
    return Grouping(CLASS, tuple(class_names), labels)


def pairs_of(all_groupings: Sequence[Grouping]) -> list[Grouping]:
    """Return the groupings by two at a time; groups without images are left out."""
    made = []
    for first, second in combinations(all_groupings, 2):
        codes = first.of_image * len(second.groups) + second.of_image
        used, places = np.unique(codes, return_inverse=True)
        names = [
            f"{first.groups[code // len(second.groups)]}, {second.groups[code % len(second.groups)]}"
            for code in used.tolist()
        ]
        made.append(Grouping(f"{first.name} and {second.name}", tuple(names), places.reshape(-1)))
    return made


def _read(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{file}: expected metadata in parquet or CSV; it cannot be read: {reason:.200}"
        ) from error
    if not len(table) or table.columns.duplicated().any():
        raise InputError(f"{file}: expected rows, and columns of different names")
    return table


def _by_file(table: pd.DataFrame, names: Sequence[str], file: Path) -> pd.DataFrame:
    given = table[FILE].map(str)
    wanted = list(names)
    if not set(given) & set(wanted):  # the bare names, where these are told apart by them
        bare = [PurePosixPath(name).name for name in names]
        wanted = bare if len(set(bare)) == len(bare) else wanted
    unknown, missing = [one for one in given if one not in set(wanted)], set(wanted) - set(given)
    if unknown or missing or given.duplicated().any():
        what = (
            f"{len(unknown):,} files that the test split does not have, as {unknown[0]!a:.100}"
            if unknown
            else f"nothing of {len(missing):,} test images, as {min(missing)!a:.100}"
            if missing
            else f"{given[given.duplicated()].iloc[0]!a:.100} twice"
        )
        raise InputError(f"{file}: expected each test image once in its column {FILE}; it has {what}")
    return table.drop(columns=FILE).set_index(given).loc[wanted].reset_index(drop=True)
