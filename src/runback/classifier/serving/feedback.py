"""Stores what people say of a network's answers: bounded, and no image without consent."""

import base64
import binascii
import datetime
import hashlib
import math
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runback.errors import DataError
from runback.system.config.yaml_form import first_fault
from runback.system.files.file_lock import take
from runback.system.files.full_disk import is_full
from runback.system.files.regular_file import APPEND, open_regular, reading

MOST_ENTRIES = 10_000
"""Entries of a run."""

MOST_BYTES = 256 * 2**20
"""Bytes of all entries of a run."""

A_MINUTE = 60
"""Entries that are taken in a minute, from all together."""

LONGEST_NOTE = 1_000
"""Characters of a note."""

TEXTS = 64 * 2**10
"""Bytes of a request beside its image."""

PATIENCE = 5.0
"""Seconds that an entry waits for another server's."""


class TooOften(DataError):  # noqa: N818 - the word for it
    """More was said than is taken at a time: later it will be."""


class FeedbackFull(DataError):  # noqa: N818 - the word for it
    """No more can be stored."""


class _EntryForm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    answer: str
    correction: str
    note: str = Field(default="", max_length=LONGEST_NOTE)
    image: str | None = None
    consent: bool = False


class FeedbackEntry(_EntryForm):
    """An entry as it is stored, with the time at which it came, in UTC."""

    when: str


@dataclass(frozen=True)
class StoredFeedback:
    """The entries of a file, in the order in which they came, and the number of its lines that are none."""

    entries: tuple[FeedbackEntry, ...]
    damaged: int


class FeedbackFile:
    """The entries of a run, a JSON object a line; other servers may append to the same file.

    `shape` is that of an image, (height, width, channels).
    """

    def __init__(self, file: Path, shape: tuple[int, int, int], class_names: tuple[str, ...]) -> None:
        self.file = file
        self.longest_body = TEXTS + 4 * -(-math.prod(shape) // 3)
        """Bytes of a request, its image in base64."""
        self._shape = shape
        self._class_names = class_names
        self._lock = threading.Lock()
        self._times: list[float] = []
        self._counted = (0, 0)  # the size of the file at which its entries were counted, and their number

    def add(self, body: bytes | bytearray) -> dict[str, Any]:
        """Check an entry and append it; return what was stored, without its image.

        Errors: DataError for what is no entry, TooOften, FeedbackFull where it cannot be stored.
        """
        with self._lock:
            self._refuse_too_often()
            self._times.append(time.monotonic())
        entry = self._checked(body)
        line = entry.model_dump_json(ensure_ascii=True).encode() + b"\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                reason = "the disk is full" if is_full(error) else "it cannot be written"
                raise FeedbackFull(f"the feedback is not stored: {reason}") from error
        return entry.model_dump(exclude={"image"})

    def _checked(self, body: bytes | bytearray) -> FeedbackEntry:
        try:
            form = _EntryForm.model_validate_json(bytes(body))
        except ValidationError as error:
            raise DataError(
                "expected sha256, answer, correction, and if wished note, image, consent; "
                f"{first_fault(error):.300}"
            ) from error
        for name in (form.answer, form.correction):
            if name not in self._class_names:
                raise DataError(
                    f"expected one of the classes {', '.join(self._class_names):.500}; got {name!a:.80}"
                )
        if form.image is not None:
            if not form.consent:
                raise DataError("an image is kept only with consent: true; without it, send its sha256 alone")
            self._check_image(form.image, form.sha256)
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        return FeedbackEntry(when=when, **form.model_dump())

    def _check_image(self, text: str, stated: str) -> None:
        pixels = decoded(text)
        if pixels is None:
            raise DataError("image: expected the raw pixels in base64")
        if len(pixels) != math.prod(self._shape) or hashlib.sha256(pixels).hexdigest() != stated:
            raise DataError(
                f"image: expected {math.prod(self._shape):,} bytes, uint8 of shape {self._shape}, "
                "with the sha256 stated"
            )

    def _refuse_too_often(self) -> None:
        now = time.monotonic()
        self._times = [one for one in self._times if now - one < 60]
        if len(self._times) >= A_MINUTE:
            raise TooOften(f"expected at most {A_MINUTE} entries a minute: try again later")

    def _append(self, line: bytes) -> None:
        """Add a line, the whole of it or nothing. Raises OSError, FeedbackFull."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(open_regular(self.file, APPEND), "ab", buffering=0) as file:
            take(file, PATIENCE)
            os.fchmod(file.fileno(), 0o600)
            size = os.fstat(file.fileno()).st_size
            self._refuse_too_much(size, len(line))
            if size and os.pread(file.fileno(), 1, size - 1) != b"\n":  # somebody was killed in the middle
                line = b"\n" + line
            try:
                _write_all(file.fileno(), line)
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), size)
                raise
            self._counted = (size + len(line), self._counted[1] + 1)

    def _refuse_too_much(self, size: int, more: int) -> None:
        if self._counted[0] != size:
            self._counted = (size, len(read_feedback(self.file).entries))
        count = self._counted[1]
        if count >= MOST_ENTRIES or size + more > MOST_BYTES:
            raise FeedbackFull(f"the feedback on this run is full: {count:,} entries, {size:,} bytes")


def _write_all(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def image_hash(image: np.ndarray) -> str:
    """Return the SHA-256 of an image's raw pixels, by which an entry names it."""
    return hashlib.sha256(np.ascontiguousarray(image, np.uint8).tobytes()).hexdigest()


def decoded(text: str) -> bytes | None:
    """Return the bytes that a text in base64 stands for; None where it is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def read_feedback(file: Path) -> StoredFeedback:
    """Return the entries of a file, none where there is none. Raises OSError for another kind of file."""
    entries, damaged = [], 0
    if file.exists():
        with reading(file) as lines:
            for line in lines:
                try:
                    entries.append(FeedbackEntry.model_validate_json(line))
                except ValidationError:
                    damaged += bool(line.strip())
    return StoredFeedback(tuple(entries), damaged)
