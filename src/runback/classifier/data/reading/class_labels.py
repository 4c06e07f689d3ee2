"""Makes positions in the class names of whatever a column of labels holds: names, or numbers with gaps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runback.classifier.data.dataset import check_labels
from runback.classifier.data.reading.split_folders import LISTED, SplitName
from runback.errors import DataError
from runback.system.text.listing import listed

HIDDEN = -1
"""The label that data set hubs give images whose labels are kept back."""

HIGHEST = 2**31 - 1
"""The largest number that stands for a class."""


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one split, as they are written, with the file that each row is in."""

    values: np.ndarray
    """int64, or Python text as objects, of shape (n,)."""
    files: Sequence[tuple[str, int]]
    """Names of the files and their numbers of rows, in order."""

    @property
    def is_text(self) -> bool:
        """Whether the labels are names."""
        return self.values.dtype == object

    def where(self, row: int) -> tuple[str, int]:
        """Return the file of a row, and the row's number in it."""
        for name, n in self.files:
            if row < n:
                return name, row
            row -= n
        raise IndexError(row)


def positions(
    columns: Mapping[SplitName, LabelColumn], given: tuple[str, ...] | None, stored: tuple[str, ...] | None
) -> tuple[dict[SplitName, np.ndarray], tuple[str, ...], list[str]]:
    """Return each split's labels as positions in the class names, the class names, and notes for a person.

    Text: the names are `given`, else the sorted ones of the training split. Numbers: they count in `given` or
    in what is `stored` in the file; without these each number in use is a class, called by it. Of stored
    names those that no label uses are no classes. Raises DataError naming file and row of a label that is
    none of the training classes.
    """
    train = columns["train"]
    for split, column in columns.items():
        if split != "train" and not column.is_text and (column.values == HIDDEN).all():
            raise DataError(
                f"{column.files[0][0]}: all its labels are {HIDDEN}, which stands for hidden ones: move the "
                f"file out of the folder; data.test_fraction then takes test images from the training ones"
            )
    if any(one.is_text != train.is_text for one in columns.values()):
        raise DataError(f"{train.files[0][0]}: expected labels of one type in all splits")
    if train.is_text:
        texts = given or tuple(sorted(set(train.values.tolist())))
        return {split: _of_names(one, texts) for split, one in columns.items()}, texts, []
    names = given or stored
    if names is None:
        return _of_numbers(columns)
    for one in columns.values():
        _check_range(one, len(names))
    labels = {split: one.values for split, one in columns.items()}
    used = np.unique(np.concatenate(list(labels.values())))
    if given or len(used) == len(names):
        return labels, names, []
    note = (
        f"{len(names) - len(used)} of {len(names)} class names in the file have no image and are no classes"
    )
    return (
        {split: np.searchsorted(used, one) for split, one in labels.items()},
        tuple(names[number] for number in used),
        [f"{note}, as {next(name for number, name in enumerate(names) if number not in used)}"],
    )


def _of_names(column: LabelColumn, names: tuple[str, ...]) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(names)}
    for row, name in enumerate(column.values):
        if name not in numbers:
            file, at = column.where(row)
            raise DataError(
                f"{file}: labels out of range: expected one of {listed(names, LISTED)}; "
                f"got {name!r:.100} at row {at}"
            )
    return np.array([numbers[name] for name in column.values], np.int64)


def _of_numbers(
    columns: Mapping[SplitName, LabelColumn],
) -> tuple[dict[SplitName, np.ndarray], tuple[str, ...], list[str]]:
    """Take each number in use for a class; what does not run from 0 without gaps is said."""
    train = columns["train"]
    used = np.unique(train.values)
    count = len(used)
    _check_plausible(train, count)
    names = tuple(str(number) for number in used)
    labels: dict[SplitName, np.ndarray] = {}
    for split, one in columns.items():
        if used[-1] == count - 1:
            _check_range(one, count)
        strange = np.flatnonzero(~np.isin(one.values, used))
        if len(strange):
            file, at = one.where(int(strange[0]))
            raise DataError(
                f"{file}: labels out of range: expected one of {listed(names, LISTED)}; "
                f"got {one.values[strange[0]]} at row {at}"
            )
        labels[split] = np.searchsorted(used, one.values).astype(np.int64)
    if used[-1] == count - 1:
        return labels, names, []
    return labels, names, [f"labels from {used[0]} to {used[-1]}: the {count} in use are the classes"]


def _check_plausible(column: LabelColumn, count: int) -> None:
    values = column.values
    negative = np.flatnonzero(values < 0)
    if len(negative):
        check_labels(values, int(values.max(initial=0)) + 1, f"{column.where(int(negative[0]))[0]}: ")
    highest = int(values.max(initial=0))
    if highest > HIGHEST or (highest >= max(len(values), 2) and 2 * count > len(values)):
        file = column.where(int(values.argmax()))[0]
        raise DataError(
            f"{file}: expected labels that are classes, one number for each; got {highest}, and {count} "
            f"different ones in {len(values)} rows; data.label_column names another column"
        )


def _check_range(column: LabelColumn, count: int) -> None:
    start = 0
    for file, n in column.files:
        check_labels(column.values[start : start + n], count, f"{file}: ")
        start += n
