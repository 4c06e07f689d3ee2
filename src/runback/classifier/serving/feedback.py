"""Keeps what people say of a network's answers: bounded, and no image without consent."""

import base64
import binascii
import contextlib
import datetime
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runback.errors import DataError

MOST_ENTRIES = 10_000
"""Entries of a run."""

MOST_BYTES = 256 * 2**20
"""Bytes of all entries of a run."""

A_MINUTE = 60
"""Entries that are taken in a minute, from all together."""

LONGEST_NOTE = 1_000
"""Characters of a note."""

BODY = 2**20
"""Bytes of a request."""


class TooOften(DataError):  # noqa: N818 - the word for it
    """More was said than is taken at a time, or in all."""


class _EntryForm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    answer: str
    correction: str
    note: str = Field(default="", max_length=LONGEST_NOTE)
    image: str | None = None
    consent: bool = False


@dataclass
class FeedbackFile:
    """The entries of a run, a JSON object a line, in the order in which they came."""

    file: Path
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _times: list[float] = field(default_factory=list)
    _count: int = -1

    def add(self, body: bytes | bytearray) -> dict[str, Any]:
        """Check an entry and append it; return what was stored. Errors: DataError, TooOften."""
        entry = self._checked(body)
        line = json.dumps(entry, ensure_ascii=True).encode() + b"\n"
        with self._lock:
            self._refuse_too_many(len(line))
            self.file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                end = os.fstat(descriptor).st_size
                if end and os.pread(descriptor, 1, end - 1) != b"\n":  # somebody was killed in the middle
                    line = b"\n" + line
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._count += 1
        return {name: value for name, value in entry.items() if name != "image"}

    def _checked(self, body: bytes | bytearray) -> dict[str, Any]:
        try:
            form = _EntryForm.model_validate_json(bytes(body))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            raise DataError(
                f"expected sha256, answer, correction, and if wished note, image, consent; {where}: "
                f"{first['msg']}"
            ) from error
        for name in (form.answer, form.correction):
            if name not in self.class_names:
                raise DataError(
                    f"expected one of the classes {', '.join(self.class_names)}; got {name!a:.80}"
                )
        entry = {
            "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            **form.model_dump(exclude={"image", "consent"}),
        }
        if form.image is not None:
            if not form.consent:
                raise DataError("an image is kept only with consent: true; without it, send its sha256 alone")
            self._check_image(form.image, form.sha256)
            entry["image"] = form.image
        return entry

    def _check_image(self, text: str, stated: str) -> None:
        try:
            pixels = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise DataError("image: expected the raw pixels in base64") from error
        if len(pixels) != math.prod(self.shape) or hashlib.sha256(pixels).hexdigest() != stated:
            raise DataError(
                f"image: expected {math.prod(self.shape):,} bytes, uint8 of shape {self.shape}, "
                "with the sha256 stated"
            )

    def _refuse_too_many(self, size: int) -> None:
        now = time.monotonic()
        self._times = [one for one in self._times if now - one < 60]
        if len(self._times) >= A_MINUTE:
            raise TooOften(f"expected at most {A_MINUTE} entries a minute: try again later")
        if self._count < 0:
            self._count = sum(1 for _ in read_feedback(self.file))
        stored = self.file.stat().st_size if self.file.exists() else 0
        if self._count >= MOST_ENTRIES or stored + size > MOST_BYTES:
            raise TooOften(f"the feedback on this run is full: {self._count:,} entries, {stored:,} bytes")
        self._times.append(now)


def image_hash(image: np.ndarray) -> str:
    """Return the SHA-256 of an image's raw pixels, by which an entry names it."""
    return hashlib.sha256(np.ascontiguousarray(image, np.uint8).tobytes()).hexdigest()


def read_feedback(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a file; none where there is no file, and none that was cut short."""
    if not file.exists():
        return
    with file.open("rb") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry
