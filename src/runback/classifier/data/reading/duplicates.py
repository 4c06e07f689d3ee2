"""Finds images that are in two splits, or in two classes: equal pixels, whatever their files."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading.reading_report import Case, cases, merged
from runback.errors import DataError

DROPPED = "training images that are in validation or test, too"
TRAIN_IN_VALIDATION = "training images that are in validation, too"
TRAIN_IN_TEST = "training images that are in test, too"
VALIDATION_IN_TEST = "validation images that are in test, too"
CONFLICT = "images that are in several classes"


def duplicates(train: Dataset, validation: Dataset) -> dict[str, Case]:
    """Count images that appear more than once, in different splits or classes; the example is one of them."""
    if train.origin is None or validation.origin is None:
        return {}
    report = train.origin.report
    in_test, in_validation = set(report.test_digests), set(validation.origin.digests)
    found = [
        *((TRAIN_IN_VALIDATION, name) for name in _names_in(train, in_validation)),
        *((TRAIN_IN_TEST, name) for name in _names_in(train, in_test)),
        *((VALIDATION_IN_TEST, name) for name in _names_in(validation, in_test)),
        *((CONFLICT, name) for name in _conflicts(train, validation)),
    ]
    return cases(found)


def without_held_out(train: Dataset, validation: Dataset | None) -> Dataset:
    """Return the training images that are in no other split, where the source is to drop these."""
    if train.origin is None or train.origin.report.duplicates == "keep":
        return train
    others = train.origin.report.test_digests if validation is None else _digests(validation)
    held_out = set(others)
    is_own = np.array([digest not in held_out for digest in train.origin.digests], bool)
    if is_own.all():
        return train
    if not is_own.any():
        raise DataError(
            f"data.duplicates=drop: each of the {len(train):,} training images is in validation or test, "
            f"too, such as {train.origin.names[0]}; is one folder a copy of the other?"
        )
    dropped = cases((DROPPED, name) for name in train.origin.names[~is_own])
    report = replace(train.origin.report, left_out=merged([train.origin.report.left_out, dropped]))
    left = train.take(np.flatnonzero(is_own))
    return replace(left, origin=replace(left.origin, report=report)) if left.origin else left


def _digests(dataset: Dataset) -> list[bytes]:
    return [] if dataset.origin is None else dataset.origin.digests.tolist()


def _names_in(dataset: Dataset, digests: set[bytes]) -> Iterator[str]:
    if dataset.origin is not None and digests:
        pairs = zip(dataset.origin.names, dataset.origin.digests, strict=True)
        yield from (name for name, digest in pairs if digest in digests)


def _conflicts(train: Dataset, validation: Dataset) -> Iterator[str]:
    """Yield each image whose pixels another image has, too, in another class."""
    labels: dict[bytes, int] = {}
    found = set()
    rows = []
    for dataset in (train, validation):
        if dataset.origin is not None:
            origin = dataset.origin
            rows += list(zip(origin.names, origin.digests, dataset.labels.tolist(), strict=True))
    if train.origin is not None:
        report = train.origin.report
        rows += list(zip(report.test_names, report.test_digests, report.test_labels, strict=True))
    for _, digest, label in rows:
        if labels.setdefault(digest, label) != label:
            found.add(digest)
    yield from (name for name, digest, _ in rows if digest in found)
