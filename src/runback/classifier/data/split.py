"""Subsets and splits: drawn from a seed, class by class, with the original order kept.

The draws are plain numpy permutations, not a library's splitter: a split is part of what makes a run
repeatable and should not move when a library changes how it rounds or draws.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from pydantic import SkipValidation

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading.duplicates import without_held_out
from runback.errors import DataError, InputError

Method = Literal["stratified", "tail"]

LISTED = 20
"""Classes whose numbers a message has."""

TEST_FRACTION = 0.2
TEST_SEED = 0
"""The seed of the test split, TEST_FRACTION of the images, that is cut off where a source has none.

Both are constants, not knobs: the same test split stays out of sight in every run.
"""


def limited(dataset: Dataset, limit: int | None, seed: int) -> Dataset:
    """Return a random subset of `limit` images with every class in its proportion, at least twice.

    None, or a limit beyond the dataset's length, returns all of it. Raises InputError for a limit below
    two images per class.
    """
    if limit is not None and limit < 1:
        raise InputError(f"data.limit must be at least 1; got {limit}")
    if limit is None or limit >= len(dataset):
        return dataset
    least = 2 * len(dataset.class_names)
    if limit < least:
        raise InputError(
            f"data.limit must be at least {least}, two images for each of the "
            f"{len(dataset.class_names)} classes; got {limit}"
        )
    return dataset.take(_drawn(dataset.labels, limit, _generator(seed), least=2))


def split(
    dataset: SkipValidation[Dataset],
    *,
    limit: int | None,
    validation_fraction: float,
    validation_split: Method,
    validation_seed: int,
) -> tuple[Dataset, Dataset]:
    """Cut down a training split and return (train, validation); the knobs are those of a data config.

    A validation split that the source brings is taken as it is. Raises InputError, see `limited` and
    `train_validation`, and DataError for a class that has no image in one of the splits.
    """
    train = limited(without_held_out(dataset, None), limit, validation_seed)
    validation = dataset.validation
    if validation is None:
        train, validation = train_validation(
            train, method=validation_split, fraction=validation_fraction, seed=validation_seed
        )
    train = without_held_out(train, validation)
    _check_classes(train, validation, validation_split)
    return train, validation


def _check_classes(train: Dataset, validation: Dataset, method: Method) -> None:
    """Raise DataError, with the numbers and a way out, where a class is missing in a split."""
    parts = [np.bincount(one.labels, minlength=len(train.class_names)) for one in (train, validation)]
    words = ["train", "validation"]
    if train.origin is not None:
        parts.append(np.array(train.origin.report.test_counts))
        words.append("test")
    lacking = np.flatnonzero(np.min(parts, axis=0) == 0)
    if not len(lacking):
        return
    numbers = [
        f"{train.class_names[label]}: "
        + ", ".join(f"{part[label]:,} {word}" for part, word in zip(parts, words, strict=True))
        for label in lacking[:LISTED]
    ]
    more = f" and {len(lacking) - LISTED:,} more classes" if len(lacking) > LISTED else ""
    broken = 0 if train.origin is None else len(train.origin.report.broken)
    more += f"; {broken:,} broken images are left out" if broken else ""
    raise DataError(
        f"data: expected images of each class in each split; got {'; '.join(numbers)}{more}: "
        + _way_out(parts, method if train.validation is None else None)
    )


def _way_out(parts: Sequence[np.ndarray], method: Method | None) -> str:
    """Return what gives each split images of each class; `method` has drawn the validation split, if any."""
    is_trained, is_validated = parts[0].min() > 0, parts[1].min() > 0
    if np.sum(parts, axis=0).min() < len(parts):
        return (
            f"it takes {len(parts)} images of a class, one for each split: add images, or take the class away"
        )
    if method == "tail" and not is_validated:
        return "data.validation_split=stratified draws from every class"
    if method is not None and is_trained and not is_validated:
        return "raise data.validation_fraction, add images, or take the class away"
    if is_trained and is_validated:
        return (
            "add images to it, take the class away, or raise data.test_fraction if that cuts the test split"
        )
    return "add images to it, or take the class away"


def train_validation(
    dataset: Dataset, *, method: Method, fraction: float, seed: int
) -> tuple[Dataset, Dataset]:
    """Cut a validation split off; return (train, validation), each in the original order.

    `stratified` draws ceil(n * fraction) images from the seed, every class in its proportion, and of a rare
    class at least one that leaves another to train on; `tail` takes the last ones, as Keras'
    `validation_split` does. Raises InputError unless fraction lies in (0, 1) and
    neither part is empty.
    """
    if method not in get_args(Method):
        raise InputError(
            f"data.validation_split must be one of {', '.join(get_args(Method))}; got {method!r}"
        )
    if not 0 < fraction < 1:
        raise InputError(f"data.validation_fraction must lie in (0, 1); got {fraction}")
    count = _share(len(dataset), fraction)
    if not 0 < count < len(dataset):
        raise InputError(
            f"data.validation_fraction {fraction} of {len(dataset)} images leaves one part empty: "
            f"got {len(dataset) - count} to train and {count} to validate"
        )
    if method == "tail":
        order = np.arange(len(dataset))
        return dataset.take(order[:-count]), dataset.take(order[-count:])
    validation = _drawn(dataset.labels, count, _generator(seed), least=1, spares_last=True)
    return dataset.take(_others(dataset.labels, validation)), dataset.take(validation)


def held_out(labels: np.ndarray, fraction: float = TEST_FRACTION) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of (train, test) where a source has no test split of its own.

    Stratified by label and drawn with the fixed TEST_SEED, of a rare class at least one that leaves another
    to train on; only labels are needed, no image is read.
    Raises InputError unless fraction lies in (0, 1) and neither part is empty.
    """
    count = _share(len(labels), fraction) if 0 < fraction < 1 else 0
    if not 0 < count < len(labels):
        raise InputError(
            "data.test_fraction must lie in (0, 1) and leave neither split empty; "
            f"got {fraction} of {len(labels)} images"
        )
    test = _drawn(labels, count, np.random.default_rng(TEST_SEED), least=1, spares_last=True)
    return _others(labels, test), test


def _share(n: int, fraction: float) -> int:
    return math.ceil(round(n * fraction, 9))  # 100 * 0.07 is 7.000000000000001, and means 7


def _drawn(
    labels: np.ndarray,
    count: int,
    generator: np.random.Generator,
    *,
    least: int,
    spares_last: bool = False,
) -> np.ndarray:
    """Draw `count` positions, each class in its proportion but at least `least`, or all it has.

    `spares_last` leaves one image of a class that has fewer. Where `count` is too small for `least` of each
    class, the proportion alone counts.
    """
    sizes = np.unique(labels, return_counts=True)[1]
    takes = _apportioned(sizes, count)
    enough_of_each = np.minimum(sizes - 1 if spares_last else sizes, least)
    for rare, enough in enumerate(enough_of_each if enough_of_each.sum() <= count else []):
        while takes[rare] < enough:
            takes[np.argmax(takes)] -= 1
            takes[rare] += 1
    of_classes = np.split(np.argsort(labels, kind="stable"), np.cumsum(sizes)[:-1])
    drawn = [generator.permutation(of)[:take] for of, take in zip(of_classes, takes, strict=True)]
    return np.sort(np.concatenate(drawn))


def _apportioned(sizes: np.ndarray, count: int) -> np.ndarray:
    """Divide `count` in the proportion of `sizes` by largest remainder; earlier classes win a tie."""
    whole, remainder = np.divmod(sizes * count, sizes.sum())
    largest = np.argsort(-remainder, kind="stable")
    whole[largest[: count - whole.sum()]] += 1
    return np.asarray(whole)


def _others(labels: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    return np.delete(np.arange(len(labels)), chosen)


def _generator(seed: int) -> np.random.Generator:
    if seed < 0:
        raise InputError(f"the seed of a split (data.validation_seed) must be 0 or greater; got {seed}")
    return np.random.default_rng(seed)
