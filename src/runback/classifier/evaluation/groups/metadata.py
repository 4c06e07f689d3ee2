"""Metadata of images: a table, joined to them by file name, number or order, whose columns make groups."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from runback.errors import InputError
from runback.system.text.excerpt import telling_line

FILE, INDEX = "file", "index"
"""The columns by which a table is joined; without them its rows are in the images' order."""

MOST_VALUES = 50
"""The most groups that a column may make."""

MOST_COLUMNS = 50
"""The most columns that make groups."""

QUARTERS_ABOVE = 12
"""Different numbers in a column from which on they are cut into quarters."""

PAIRED = 6
"""The most groupings whose pairs are looked at."""

CLASS = "class"
"""The name of the grouping by class."""


_NUMBER = r"[+-]?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?"


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
        return _by_index(table, len(names), file)
    if len(table) != len(names):
        raise InputError(
            f"{file}: expected a row for each of the {len(names):,} test images, or a column {FILE} or "
            f"{INDEX}; got {len(table):,} rows"
        )
    return table


def groupings(table: pd.DataFrame, columns: Sequence[str] | None = None) -> tuple[list[Grouping], list[str]]:
    """Return a grouping for each column, or each of these, and what was done to its values, in sentences.

    A column `class` is left out: there are groups by class. Errors: InputError for a column that there is
    not, for too many columns, or one that has too many values.
    """
    unknown = [name for name in columns or () if name not in table]
    if unknown:
        raise InputError(
            f"metadata: expected one of {', '.join(map(str, table.columns))}; got {unknown[0]!a:.80}"
        )
    wanted = [*dict.fromkeys(columns or table.columns)]
    notes = [f"{CLASS}: left out, there are groups by class"] if CLASS in wanted else []
    wanted = [name for name in wanted if name != CLASS]
    if len(wanted) > MOST_COLUMNS:
        raise InputError(f"metadata: expected at most {MOST_COLUMNS} columns; got {len(wanted)}: --groups")
    if not wanted:
        raise InputError("metadata: no column is left that makes groups")
    made = []
    for name in wanted:
        grouping, said = _grouping(table[name])
        made.append(grouping)
        notes += said
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


def grouping_names(columns: Sequence[str]) -> list[str]:
    """Return the names of all groupings that are looked at, where a table has these columns."""
    single = [CLASS, *columns]
    pairs = combinations(single[:PAIRED], 2) if columns else ()
    return [*single, *(f"{first} and {second}" for first, second in pairs)]


def grouping_keys(names: Sequence[str]) -> list[str]:
    """Return a part of a measure's name for each grouping: letters, digits and _, another one for each."""
    keys: list[str] = []
    for name in names:
        key = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_").lower() or "group"
        number = 2
        unique = key
        while unique in keys:
            unique, number = f"{key}_{number}", number + 1
        keys.append(unique)
    return keys


def _read(file: Path) -> pd.DataFrame:
    """Return the table in a file; a column of a CSV is one of numbers where all are, and 001 is none."""
    try:
        if file.suffix == ".parquet":
            table = pd.read_parquet(file)
        else:
            options = {"index_col": False, "keep_default_na": False, "na_values": [""], "dtype": str}
            head = pd.read_csv(file, header=None, nrows=1, **options).iloc[0].dropna()
            table = pd.read_csv(file, **options).apply(_as_numbers)
            table.columns = table.columns if head.is_unique else head
    except Exception as error:  # whatever pandas, pyarrow or a decompressor make of it
        raise InputError(
            f"{file}: expected metadata in parquet or CSV; it cannot be read: {telling_line(error):.200}"
        ) from error
    table.columns = table.columns.map(str)
    if not len(table) or table.columns.duplicated().any():
        raise InputError(f"{file}: expected rows, and columns of different names")
    return table


def _as_numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column) if column.dropna().str.fullmatch(_NUMBER).all() else column


def _by_index(table: pd.DataFrame, n: int, file: Path) -> pd.DataFrame:
    numbers = pd.to_numeric(table[INDEX], errors="coerce").to_numpy(float, na_value=np.nan)
    if not np.array_equal(np.sort(numbers), np.arange(n)):
        missing = np.setdiff1d(np.arange(n), numbers)
        lacks = f", and not {missing[0]}" if len(missing) else ""
        raise InputError(
            f"{file}: expected each number from 0 to {n - 1:,} once in its column {INDEX}, one for each test "
            f"image; got {len(numbers):,} numbers{lacks}"
        )
    return table.drop(columns=INDEX).iloc[np.argsort(numbers)].reset_index(drop=True)


def _by_file(table: pd.DataFrame, names: Sequence[str], file: Path) -> pd.DataFrame:
    given = table[FILE].map(str)
    wanted = list(names)
    if not set(given) & set(wanted):  # the bare names, where these are told apart by them
        bare = [PurePosixPath(name).name for name in names]
        wanted = bare if len(set(bare)) == len(bare) else wanted
    known, there = set(wanted), set(given)
    unknown, missing = [one for one in given if one not in known], known - there
    if unknown:
        what = f"{len(unknown):,} files that the test split does not have, as {unknown[0]!a:.100}"
    elif missing:
        what = f"nothing of {len(missing):,} test images, as {min(missing)!a:.100}"
    elif given.duplicated().any():
        what = f"{given[given.duplicated()].iloc[0]!a:.100} twice"
    else:
        return table.drop(columns=FILE).set_index(given).loc[wanted].reset_index(drop=True)
    raise InputError(f"{file}: expected each test image once in its column {FILE}; it has {what}")


def _grouping(column: pd.Series) -> tuple[Grouping, list[str]]:
    """Return the grouping that a column makes, and what was done to its values."""
    name, notes = str(column.name), []
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > QUARTERS_ABOVE:
        finite = column.astype(float).replace([np.inf, -np.inf], np.nan)
        column = pd.qcut(finite, 4, duplicates="drop")
        parts = column.cat.categories.size
        notes.append(f"{name}: numbers, cut into {'quarters' if parts == 4 else f'{parts} parts'}")
    missing = int(column.isna().sum())
    if missing:
        notes.append(f"{name}: {missing:,} images without a value are a group of their own")
    texts = [
        "no value" if is_missing else str(value)
        for value, is_missing in zip(column, column.isna(), strict=True)
    ]
    if len(Counter(texts)) > MOST_VALUES:
        raise InputError(
            f"metadata: expected a column of at most {MOST_VALUES} values; {name!a:.80} has "
            f"{len(Counter(texts)):,}"
        )
    codes, values = pd.factorize(np.array(texts, object), sort=True)
    return Grouping(name, tuple(values), np.asarray(codes)), notes
