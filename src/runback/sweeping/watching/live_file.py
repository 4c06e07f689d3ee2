"""A sweep's live table as a file in its folder: for whoever looks at it from elsewhere."""

import contextlib
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from runback.errors import RunbackError
from runback.sweeping.trials.events import SweepEvent
from runback.sweeping.watching.live_table import LiveTable
from runback.system.files.regular_file import read_regular
from runback.system.files.whole_file import write_whole

FILE = "live.json"

LONGEST = 1_000_000
"""Bytes of such a file."""

WRITING = 2.0
"""Seconds from one writing to the next: each one reads the study."""

End = Literal["finished", "stopped", "failed"]


@dataclass(frozen=True)
class LiveView:
    """What a sweep shows at a moment."""

    host: str
    count: int
    """How often it was written: who sees it grow knows that the sweep lives."""
    rows: list[tuple[list[str], str | None]]
    """The table's rows, each with its style."""
    counts: str
    end: End | None = None
    reason: str = ""
    """Why it has failed."""

    @classmethod
    def read(cls, folder: Path) -> "LiveView | None":
        """Return what the sweep in `folder` has written last; None: nothing that can be read."""
        try:
            return TypeAdapter(cls).validate_json(read_regular(folder / FILE)[:LONGEST])
        except (OSError, ValidationError):
            return None


class LiveFile:
    """Writes what a live table shows, now and then; observes a sweep."""

    def __init__(self, folder: Path, table: LiveTable) -> None:
        self._folder, self._table = folder, table
        self._written = 0.0
        self._count = 0

    @contextlib.contextmanager
    def keeping(self) -> Iterator[None]:
        """Write from now on, and in the end how the block has ended."""
        self._write()
        try:
            yield
        except RunbackError as error:
            self._write("failed", str(error))
            raise
        except Exception as error:
            self._write("failed", type(error).__name__)
            raise
        except BaseException:
            self._write("stopped")
            raise
        self._write("finished")

    def observe(self, event: SweepEvent) -> None:
        """Write it again, where that was some time ago."""
        if time.monotonic() - self._written >= WRITING:
            self._write()

    def _write(self, end: End | None = None, reason: str = "") -> None:
        self._count += 1
        rows = [] if end == "failed" else self._table.rows()
        counts = "" if end == "failed" else self._table.counts_line()
        view = LiveView(platform.node(), self._count, rows, counts, end, reason)
        with contextlib.suppress(OSError):  # on a full disk the sweep goes on all the same
            write_whole(self._folder / FILE, TypeAdapter(LiveView).dump_json(view), flush=False)
        self._written = time.monotonic()
