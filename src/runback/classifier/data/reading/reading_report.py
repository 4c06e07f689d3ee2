"""A report on what was read: what was left out, converted or broken, counted, each kind with one example."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from runback.errors import DataError

NAMED = 20
"""Broken images that a message names."""

WITHOUT_BROKEN = "mend or remove them, or set data.broken=skip to go on without them"

RECORDED = 10_000
"""Broken images whose names a record keeps."""

BrokenImages = Literal["refuse", "skip"]
Duplicates = Literal["keep", "drop"]


@dataclass(frozen=True)
class Case:
    """How often something was left out or converted, and one example of it."""

    count: int
    example: str


Cases = Mapping[str, Case]
"""Cases by their kind, which is a text for a person."""


@dataclass(frozen=True)
class BrokenImage:
    """An image that cannot be used, by its name, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class ImageFacts:
    """What is said about one decoded image."""

    digest: bytes
    """Of its pixels at full size, 16 bytes: two images of one digest look the same."""
    size: tuple[int, int]
    """Height and width in pixels, as it is shown."""
    kinds: tuple[str, ...] = ()
    """The conversions that it went through."""
    brightest: int = 0
    """The largest value of a grey image of 16 bits, else 0."""
    resized: str | None = None
    """What resizing did to its shape; None: it kept its own."""


@dataclass
class SplitReading:
    """What was said about the images of one split, in their order."""

    positions: list[int] = field(default_factory=list)
    """The positions of the images that could be decoded, from 0."""
    digests: list[bytes] = field(default_factory=list)
    smallest: tuple[int, int] | None = None
    largest: tuple[int, int] | None = None
    """The least and the greatest height, and width."""
    converted: dict[str, Case] = field(default_factory=dict)
    resized: dict[str, Case] = field(default_factory=dict)
    broken: list[BrokenImage] = field(default_factory=list)
    brightest: int = 0

    def add(self, name: str, facts: ImageFacts | BrokenImage) -> None:
        """Add the next image."""
        position = len(self.positions) + len(self.broken)
        if isinstance(facts, BrokenImage):
            self.broken.append(facts)
            return
        self.positions.append(position)
        self.digests.append(facts.digest)
        self.brightest = max(self.brightest, facts.brightest)
        self.smallest = extreme(min, [self.smallest, facts.size])
        self.largest = extreme(max, [self.largest, facts.size])
        for kind in facts.kinds:
            _count(self.converted, kind, name)
        if facts.resized is not None:
            _count(self.resized, facts.resized, name)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it, without digests."""
        return {
            "positions": self.positions,
            "smallest": self.smallest,
            "largest": self.largest,
            "converted": {kind: [case.count, case.example] for kind, case in self.converted.items()},
            "resized": {kind: [case.count, case.example] for kind, case in self.resized.items()},
            "broken": [[one.name, one.reason] for one in self.broken],
            "brightest": self.brightest,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], digests: np.ndarray) -> Self:
        """Return what `as_dict` gave and these digests, uint8 of shape (n, 16), made of."""
        return cls(
            [int(position) for position in content["positions"]],
            [row.tobytes() for row in digests[: len(content["positions"])]],
            _size(content["smallest"]),
            _size(content["largest"]),
            _cases(content["converted"]),
            _cases(content["resized"]),
            [BrokenImage(str(name), str(reason)) for name, reason in content["broken"]],
            int(content["brightest"]),
        )


@dataclass(frozen=True, eq=False)
class SourceReport:
    """What a source says about all its splits: the same for each subset of its images."""

    source: str
    """The kind of source, and its path."""
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    left_out: Cases
    converted: Cases
    resized: Cases
    broken: Sequence[BrokenImage]
    notes: Sequence[str]
    test_counts: Sequence[int]
    """The test split's images by class."""
    test_labels: Sequence[int]
    test_digests: Sequence[bytes]
    test_names: Sequence[str]
    duplicates: Duplicates = "keep"
    strict: bool = False


@dataclass(frozen=True, eq=False)
class Origin:
    """Where the images of a dataset come from: a name and a digest for each, and the source's report."""

    names: np.ndarray
    """Text of shape (n,), as Python objects."""
    digests: np.ndarray
    """As `ImageFacts` has them: Python bytes of shape (n,), as objects."""
    report: SourceReport

    def take(self, rows: Any) -> Self:
        """Return the origin of the images at these rows."""
        return type(self)(self.names[rows], self.digests[rows], self.report)


def extreme(
    of: Callable[[Iterable[int]], int], sizes: Iterable[tuple[int, int] | None]
) -> tuple[int, int] | None:
    """Return the least height and the least width of these sizes, or the greatest; None of no size."""
    given = [size for size in sizes if size is not None]
    return (of(size[0] for size in given), of(size[1] for size in given)) if given else None


def cases(found: Iterable[tuple[str, str]]) -> dict[str, Case]:
    """Count pairs of a kind and a name; the first name is the example."""
    counted: dict[str, Case] = {}
    for kind, name in found:
        _count(counted, kind, name)
    return counted


def _count(counted: dict[str, Case], kind: str, name: str) -> None:
    before = counted.get(kind)
    counted[kind] = Case(before.count + 1, before.example) if before else Case(1, name)


def merged(many: Iterable[Cases]) -> dict[str, Case]:
    """Add up cases of the same kind; the first example stays."""
    total: dict[str, Case] = {}
    for one in many:
        for kind, case in one.items():
            before = total.get(kind)
            total[kind] = Case(before.count + case.count, before.example) if before else case
    return total


def refuse_broken(
    broken: Sequence[BrokenImage], n: int, root: str = "", way_out: str = WITHOUT_BROKEN
) -> None:
    """Raise DataError that names the first `NAMED` broken ones of `n` images; nothing where none is.

    `root` is the folder that the names are relative to, with a slash; it opens the message.
    """
    if not broken:
        return
    named = root + "; ".join(f"{one.name}: {one.reason}" for one in broken[:NAMED])
    more = f"; and {len(broken) - NAMED:,} more" if len(broken) > NAMED else ""
    raise DataError(f"{named}{more} ({len(broken):,} of {n:,} images cannot be used: {way_out})")


def _cases(content: Mapping[str, Any]) -> dict[str, Case]:
    return {str(kind): Case(int(count), str(name)) for kind, (count, name) in content.items()}


def _size(pair: Sequence[int] | None) -> tuple[int, int] | None:
    return None if pair is None else (int(pair[0]), int(pair[1]))
