"""A summary of what is trained on: said before training, and kept with the run."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading.duplicates import duplicates
from runback.classifier.data.reading.reading_report import (
    RECORDED,
    BrokenImage,
    Case,
    Cases,
    SourceReport,
)
from runback.errors import DataError
from runback.system.secrecy import redacted
from runback.system.text.escape import for_markdown

CLASSES = 12
"""Classes that are listed one by one; of more, the largest and the smallest."""

RESIZED = "resized"
"""The group of images that got another shape, as the config's sizes ask for."""

FEW = 2
"""Images of a class that are so few that the class is named."""


@dataclass(frozen=True)
class ClassCounts:
    """The images of a class in each split; of the test split None where that is not known."""

    train: int
    validation: int
    test: int | None


@dataclass(frozen=True)
class DataSummary:
    """What a training is done on, and what of its source is not used, or not as it is."""

    source: str
    classes: dict[str, ClassCounts]
    shape: tuple[int, int, int]
    """Height, width and channels of what is trained on."""
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    """The least and the greatest height, and width, of the files; None where the source does not say."""
    left_out: Cases
    converted: Cases
    resized: Cases
    duplicates: Cases
    notes: Sequence[str]
    broken: Sequence[BrokenImage]
    test_sha256: str | None
    """The hash of the test split's pixels at full size, and of its labels; None where it was not opened."""

    @classmethod
    def of(cls, train: Dataset, validation: Dataset, source: str) -> Self:
        """Return the summary of these splits; `source` is the source's name in conf/data."""
        report = None if train.origin is None else train.origin.report
        n_train, n_validation = (_counts(one) for one in (train, validation))
        tests: Sequence[int | None] = [None] * len(n_train) if report is None else report.test_counts
        counts = map(ClassCounts, n_train, n_validation, tests)
        height, width, channels = train.images.shape[1:]
        return cls(
            source=source if report is None else redacted(report.source),
            classes=dict(zip(train.class_names, counts, strict=True)),
            shape=(height, width, channels),
            smallest=None if report is None else report.smallest,
            largest=None if report is None else report.largest,
            left_out={} if report is None else _redacted(report.left_out),
            converted={} if report is None else _redacted(report.converted),
            resized={} if report is None else _redacted(report.resized),
            duplicates=_redacted(duplicates(train, validation)),
            notes=_notes(train, validation, report),
            broken=[] if report is None else report.broken,
            test_sha256=None if report is None else _hash(report),
        )

    def lines(self) -> list[str]:
        """Return the text that is said before training."""
        totals = self._totals
        lines = [
            f"data: {self.source}, {len(self.classes):,} classes, {_in_splits(totals)}",
            f"  images: {self._sizes}",
            *self._class_lines(),
        ]
        for title, found in self._groups:
            lines += [
                f"  {title}: {kind}: {case.count:,}, such as {case.example}" for kind, case in found.items()
            ]
        return [*lines, *(f"  note: {note}" for note in self.notes)]

    def markdown(self) -> str:
        """Return the same for a run's note."""
        rows = [
            f"| {for_markdown(name)} | {one.train:,} | {one.validation:,} | {_number(one.test)} |"
            for name, one in self._listed_classes()
        ]
        more = len(self.classes) - len(rows)
        if more:
            rows.insert(CLASSES // 2, f"| {more:,} more classes between these | | | |")
        items = [
            f"- {title}: {for_markdown(kind)}: {case.count:,}, such as {for_markdown(case.example)}"
            for title, found in self._groups
            for kind, case in found.items()
        ]
        items += [f"- note: {for_markdown(note)}" for note in self.notes]
        return "\n".join(
            [
                f"Data: {for_markdown(self.source)}; {for_markdown(self._sizes)}.",
                "",
                "| class | train | validation | test |",
                "|---|---:|---:|---:|",
                *rows,
                "",
                *items,
            ]
        ).rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return the same for a run's record, with the names of the broken images."""
        return {
            "source": self.source,
            "classes": {name: [one.train, one.validation, one.test] for name, one in self.classes.items()},
            "shape": list(self.shape),
            "smallest": self.smallest,
            "largest": self.largest,
            **{
                title.replace(" ", "_"): {kind: [case.count, case.example] for kind, case in found.items()}
                for title, found in self._groups
            },
            "notes": list(self.notes),
            "test_sha256": self.test_sha256,
            "broken": [[redacted(one.name), redacted(one.reason)] for one in self.broken[:RECORDED]],
        }

    def refuse(self) -> None:
        """Raise DataError where something is left out, converted or there twice, for `data.strict=true`."""
        odd = [
            f"{title}: {kind}: {case.count:,}, such as {case.example}"
            for title, found in self._groups
            if title != RESIZED
            for kind, case in found.items()
        ]
        if odd:
            raise DataError(f"data.strict: expected images to be used as they are; {'; '.join(odd)}")

    @property
    def _groups(self) -> list[tuple[str, Cases]]:
        return [
            ("left out", self.left_out),
            ("converted", self.converted),
            (RESIZED, self.resized),
            ("duplicate", self.duplicates),
        ]

    @property
    def _totals(self) -> ClassCounts:
        every = list(self.classes.values())
        tests = [one.test for one in every if one.test is not None]
        test = sum(tests) if len(tests) == len(every) else None
        return ClassCounts(sum(one.train for one in every), sum(one.validation for one in every), test)

    @property
    def _sizes(self) -> str:
        height, width, channels = self.shape
        colours = "grey" if channels == 1 else "colour"
        if self.smallest is None or self.largest is None:
            return f"{height} x {width} pixels, {colours}"
        before = " x ".join(
            f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"
            for least, greatest in zip(self.smallest, self.largest, strict=True)
        )
        if self.smallest == self.largest == (height, width):
            return f"{before} pixels (height x width), not resized, {colours}"
        return f"{before} pixels (height x width), resized to {height} x {width}, {colours}"

    def _listed_classes(self) -> list[tuple[str, ClassCounts]]:
        named = list(self.classes.items())
        if len(named) <= CLASSES:
            return named
        named.sort(key=lambda one: -one[1].train)
        return [*named[: CLASSES // 2], *named[-CLASSES // 2 :]]

    def _class_lines(self) -> list[str]:
        listed = self._listed_classes()
        lines = [f"  class {name}: {_in_splits(one)}" for name, one in listed]
        if len(listed) < len(self.classes):
            more = len(self.classes) - len(listed)
            lines.insert(CLASSES // 2, f"  {more:,} more classes between these; record/record.json has all")
        return lines


def _redacted(found: Cases) -> dict[str, Case]:
    return {kind: Case(case.count, redacted(case.example)) for kind, case in found.items()}


def _hash(report: SourceReport) -> str:
    digest = hashlib.sha256()
    for one, label in zip(report.test_digests, report.test_labels, strict=True):
        digest.update(one + label.to_bytes(8, "little"))
    return digest.hexdigest()


def _in_splits(counts: ClassCounts) -> str:
    test = "test not opened" if counts.test is None else f"{counts.test:,} test"
    return f"{counts.train:,} train, {counts.validation:,} validation, {test}"


def _number(n: int | None) -> str:
    return "" if n is None else f"{n:,}"


def _counts(dataset: Dataset) -> list[int]:
    return np.bincount(dataset.labels, minlength=len(dataset.class_names)).tolist()  # type: ignore[no-any-return]


def _notes(train: Dataset, validation: Dataset, report: SourceReport | None) -> list[str]:
    notes = [] if report is None else list(report.notes)
    if train.validation is not None:
        notes.append(
            "the validation split is the source's own: data.validation_fraction, validation_split and "
            "validation_seed are not used for it"
        )
    few = [f"{name} ({n})" for name, n in zip(train.class_names, _counts(train), strict=True) if 0 < n <= FEW]
    if few:
        more = f" and {len(few) - CLASSES} more" if len(few) > CLASSES else ""
        notes.append(f"classes of one or two training images: {', '.join(few[:CLASSES])}{more}")
    alike: dict[str, str] = {}
    for name in train.class_names:
        plain = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
        other = alike.setdefault(plain, name)
        if other != name:
            notes.append(
                f"two classes differ in case, blanks or the encoding of letters only: {other!r} and {name!r}"
                + ("" if other.isascii() and name.isascii() else f" ({other!a} and {name!a})")
            )
    return notes
