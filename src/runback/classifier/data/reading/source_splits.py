"""Reads the splits of a source of people's files: decoded once, checked before anything is trained."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
from PIL import ImageColor
from pydantic import AfterValidator

from runback.classifier.data.dataset import Dataset, Split
from runback.classifier.data.image_cache import (
    Decoding,
    cached,
    cached_reading,
    stored_reading,
)
from runback.classifier.data.image_decoding import BATCH, ImageForm, Item, checked, decoded
from runback.classifier.data.reading.image_modes import needed_depth
from runback.classifier.data.reading.image_resizing import Resize
from runback.classifier.data.reading.reading_report import (
    BrokenImage,
    BrokenImages,
    Cases,
    Duplicates,
    Origin,
    SourceReport,
    SplitReading,
    cases,
    extreme,
    merged,
    refuse_broken,
)
from runback.classifier.data.reading.split_folders import SplitName
from runback.errors import DataError

OPAQUE = "expected an opaque colour such as white, black or #aabbcc"

BROKEN = "broken images"

DECODER = 4
"""Changes with what `displayed` makes of a file: entries of the cache made by another one are not used."""


def _parsed(text: str) -> str:
    background(text)
    return text


Background = Annotated[str, AfterValidator(_parsed)]
Depth = Literal[8, 10, 12, 14, 16]


@dataclass(frozen=True)
class SplitFiles:
    """The images of one split, before any is decoded."""

    labels: np.ndarray
    """int64 of shape (n,)."""
    names: Sequence[str]
    """For messages: paths relative to the source's, or rows."""
    key: Any
    """All that decides what is in them."""
    batches: Callable[[], Iterator[list[Item]]]


@dataclass(frozen=True)
class SourceFiles:
    """The splits of a source, before anything is decoded."""

    kind: str
    """Of the source: how its entries of the cache are called."""
    path: Path
    root: str
    """What names are relative to, with a slash; empty where they are whole."""
    class_names: tuple[str, ...]
    splits: Mapping[SplitName, SplitFiles]
    left_out: Cases
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class ReadingOptions:
    """What images become, and what happens to those that are not as they should be."""

    channels: Literal[1, 3]
    size: tuple[int, int] | None
    background: str
    depth: Depth | None
    broken: BrokenImages
    duplicates: Duplicates
    strict: bool
    resize: Resize = "stretch"


def background(text: str) -> tuple[int, int, int]:
    """Return the colour that `data.background` names. Raises ValueError."""
    try:
        colour = ImageColor.getrgb(text)
    except ValueError as error:
        raise ValueError(OPAQUE) from error
    if len(colour) != 3:
        raise ValueError(OPAQUE)
    return colour


def load_split(source: SourceFiles, split: Split, options: ReadingOptions, cache: Path) -> Dataset:
    """Return one split: the training split brings its validation split, if there is one, and a report.

    For the training split all others are decoded, too, to find what is broken; of the test split's images
    nothing is kept but a digest of each. Raises DataError that names the images that cannot be used, unless
    `options` skips them.
    """
    reader = _Reader(source, options, cache)
    if split == "test":
        images, reading = reader.images("test")
        reader.refuse(reading.broken, "test")
        return images
    return reader.training()


@dataclass(frozen=True)
class _Reader:
    source: SourceFiles
    options: ReadingOptions
    cache: Path

    def training(self) -> Dataset:
        """Return the training split with all that comes with it."""
        readings: dict[SplitName, SplitReading] = {}
        datasets: dict[SplitName, Dataset] = {}
        for name in self._splits:
            if name == "test":
                readings[name] = self._checked(name, self._form(self._depth))
            else:
                datasets[name], readings[name] = self.images(name)
        broken = [one for reading in readings.values() for one in reading.broken]
        self.refuse(broken, *readings)
        self._refuse_other_sizes(readings)
        report = self._report(readings, broken)
        whole = {name: self._with_origin(name, datasets[name], readings[name], report) for name in datasets}
        return replace(whole["train"], validation=whole.get("validation"))

    def _refuse_other_sizes(self, readings: Mapping[SplitName, SplitReading]) -> None:
        """Raise DataError where a split's images have another size than the training images, and keep it."""
        if self.options.size is not None:
            return
        expected = readings["train"].smallest
        for name, reading in readings.items():
            size = reading.smallest
            if size is not None and expected is not None and size != expected:
                raise DataError(
                    f"{self.source.path}: {name} images of {size[0]} x {size[1]} pixels, but training images "
                    f"of {expected[0]} x {expected[1]} (height x width); set data.height and data.width to "
                    "resize all"
                )

    def images(self, name: SplitName) -> tuple[Dataset, SplitReading]:
        """Return a split's images and what was said about them."""
        form = self._form(self._depth)
        dataset = self._decoded(name, form)
        return dataset, stored_reading(self.cache, self._entry(name), self._key(name, form))

    def refuse(self, broken: Sequence[BrokenImage], *splits: SplitName) -> None:
        """Raise DataError for broken images of these splits, unless they are to be skipped."""
        if self.options.broken == "refuse":
            n = sum(len(self.source.splits[name].labels) for name in splits)
            refuse_broken(broken, n, self.source.root)

    @property
    def _splits(self) -> list[SplitName]:
        """The splits that there are, that to train on first."""
        return [name for name in get_args(SplitName) if name in self.source.splits]

    @cached_property
    def _depth(self) -> int:
        """The bits in use of grey images of 16 bits: those that the brightest training image needs.

        Where no training image has 16 bits, the first other split counts that has such images.
        """
        if self.options.depth is not None:
            return self.options.depth
        form = self._form(16)
        for name in self._splits:
            if name == "test":
                brightest = self._checked(name, form).brightest
            else:
                self._decoded(name, form)
                brightest = stored_reading(self.cache, self._entry(name), self._key(name, form)).brightest
            if brightest:
                return needed_depth(brightest)
        return 16

    def _form(self, depth: int) -> ImageForm:
        colour = background(self.options.background)
        options = self.options
        return ImageForm(
            options.channels, options.size, colour, depth, options.resize, options.depth is not None
        )

    def _decoded(self, name: SplitName, form: ImageForm) -> Dataset:
        files = self.source.splits[name]

        def decode() -> Decoding:
            reading = SplitReading()
            blocks = decoded(files.batches(), form=form, reading=reading)
            return Decoding(blocks, files.labels, self.source.class_names, reading)

        return cached(self.cache, self._entry(name), self._key(name, form), decode)

    def _checked(self, name: SplitName, form: ImageForm) -> SplitReading:
        files = self.source.splits[name]
        read = partial(_read, files, form)
        return cached_reading(
            self.cache, f"{self._entry(name)}-check", self._key(name, form), read, len(files.labels)
        )

    def _entry(self, name: SplitName) -> str:
        return f"{self.source.kind}-{name}"

    def _key(self, name: SplitName, form: ImageForm) -> dict[str, Any]:
        return {
            "files": self.source.splits[name].key,
            "class_names": self.source.class_names,
            "image": [form.size, form.channels, form.background, form.depth, form.resize, form.is_depth_set],
            "decoder": DECODER,
        }

    def _with_origin(
        self, name: SplitName, dataset: Dataset, reading: SplitReading, report: SourceReport
    ) -> Dataset:
        names = np.array(self.source.splits[name].names, object)[reading.positions]
        digests = np.fromiter(reading.digests, object, len(reading.digests))
        return replace(dataset, origin=Origin(names, digests, report))

    def _report(
        self, readings: Mapping[SplitName, SplitReading], broken: Sequence[BrokenImage]
    ) -> SourceReport:
        files, reading = self.source.splits["test"], readings["test"]
        labels = files.labels[reading.positions]
        left_out = merged([self.source.left_out, cases((BROKEN, one.name) for one in broken)])
        return SourceReport(
            source=f"{self.source.kind} {self.source.path}",
            smallest=extreme(min, [one.smallest for one in readings.values()]),
            largest=extreme(max, [one.largest for one in readings.values()]),
            left_out=left_out,
            converted=merged(one.converted for one in readings.values()),
            resized=merged(one.resized for one in readings.values()),
            broken=tuple(broken),
            notes=self.source.notes,
            test_counts=np.bincount(labels, minlength=len(self.source.class_names)).tolist(),
            test_labels=labels.tolist(),
            test_digests=reading.digests,
            test_names=np.array(files.names, object)[reading.positions].tolist(),
            duplicates=self.options.duplicates,
            strict=self.options.strict,
        )


def batches_of(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Return items in batches of the size that the decoder takes."""
    return (list(items[start : start + BATCH]) for start in range(0, len(items), BATCH))


def _read(files: SplitFiles, form: ImageForm, reading: SplitReading) -> Iterator[int]:
    return checked(files.batches(), form, reading)
