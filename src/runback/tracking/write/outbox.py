"""Keeps what a run has logged until its store has it: files in the run's folder, in their order.

Each is there whole or not at all, before anybody tries to deliver it, and is removed once the store has it: a
process that is killed at any moment leaves what it had not delivered. Metrics wait in the folder's
metrics.jsonl and system.jsonl instead, and are compared with the store's.

    params, tags, end                artifact, model              metrics
      | write                          | write                      | append a line
      v                                v                            v
    .HEX.NAME.partial                .STAMP-KIND/                 metrics.jsonl, system.jsonl
      | rename                         | rename                     | kept in memory too
      v                                v                            v
    STAMP-KIND.json                  STAMP-KIND/                  PendingMetrics
      |                                |                            |
      +--------------------------------+----------------------------+
                                       | deliver, in a thread: the oldest entry first,
                                       v then the metrics, the end last
                                  MLflow's store
                                       | remove: unlink, or rename to .STAMP-KIND.gone and delete
                                       v
                         close: when nothing waits, outbox/ is removed

What a kill leaves:

    before the rename       a hidden half that nobody reads; `close` removes it
    after the rename        an entry that waits
    before `remove`         an entry that is delivered again, which changes nothing
    after a line            metrics in the file; `PendingMetrics.recover` sends those that the store lacks
    before run.json         a run in the store that only its tags lead to

What waits is delivered by the process that goes on with the run (`reopen_run`), by the coordinator of its
sweep (`DeadRuns`), or by `runback sync`.
"""

import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.errors import RunbackError, StoreError
from runback.system.files.regular_file import read_regular, write_regular
from runback.system.files.whole_file import publish, write_whole
from runback.tracking.layout import OUTBOX

RUN = "run.json"
"""The file in a run's folder with its run ID, and its store without a password."""

RESERVE = 1 << 20
"""Bytes kept on the disk for a run that finds it full: its end goes there, and SQLite's log of it."""

_RESERVED = ".reserve"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OutboxEntry:
    """One thing that waits: `params`, `tags`, `inputs`, `end` (JSON), `artifact` or `model` (folders)."""

    path: Path
    kind: str

    @property
    def content(self) -> dict[str, Any]:
        """The content of a JSON file. Raises whatever a damaged one does, see `legible`."""
        return dict(json.loads(read_regular(self.path)))

    @property
    def files(self) -> list[Path]:
        """The files of a folder, and no links: what they lead to was not logged."""
        return sorted(file for file in self.path.rglob("*") if file.is_file() and not file.is_symlink())

    def remove(self) -> None:
        """Remove it, delivered, in one step."""
        if self.path.is_dir():
            gone = self.path.with_name(f".{self.path.name}.gone")
            with contextlib.suppress(FileNotFoundError):  # another process was faster
                self.path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
        else:
            self.path.unlink(missing_ok=True)


class Outbox:
    """The outbox of the run in `folder`. One process puts things in at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / OUTBOX

    @property
    def run_id(self) -> str | None:
        """The run whose folder this is, None where that is not known."""
        return self._named("run")

    @property
    def store(self) -> str | None:
        """The store of that run, without a password."""
        return self._named("store")

    def open(self) -> None:
        """Make the folders, and keep some room on the disk for the run's end. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_regular(self.path / _RESERVED, bytes(RESERVE))

    def make_room(self) -> None:
        """Give up the room that was kept."""
        with contextlib.suppress(OSError):
            (self.path / _RESERVED).unlink(missing_ok=True)

    def belongs_to(self, run_id: str, store: str) -> None:
        """Write whose outbox this is. Raises OSError."""
        write_whole(self.folder / RUN, json.dumps({"run": run_id, "store": store}).encode())

    def put(self, kind: str, content: Mapping[str, Any]) -> None:
        """Let `content` wait, as JSON. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / f"{_stamp()}-{kind}.json", json.dumps(content).encode())

    @contextlib.contextmanager
    def putting(self, kind: str) -> Iterator[Path]:
        """Give a folder to write into, which waits when the body ends, and is gone when it raises."""
        stamp = _stamp()
        partial = self.path / f".{stamp}-{kind}"
        partial.mkdir(parents=True)
        try:
            yield partial
            publish(partial, self.path / f"{stamp}-{kind}")
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def entries(self) -> list[OutboxEntry]:
        """Return what waits, the oldest first. Raises OSError."""
        try:
            names = sorted(entry.name for entry in os.scandir(self.path) if not entry.name.startswith("."))
        except FileNotFoundError:
            return []
        return [OutboxEntry(self.path / name, name.partition("-")[2].removesuffix(".json")) for name in names]

    def close(self) -> bool:
        """Remove the outbox and return True, unless something waits in it."""
        if self.entries():
            return False
        with contextlib.suppress(OSError):
            for left in self.path.glob(".*"):  # the reserve, and halves that a killed process left
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            self.path.rmdir()
        return True

    def _named(self, what: str) -> str | None:
        try:
            return str(json.loads(read_regular(self.folder / RUN))[what])
        except (OSError, ValueError, KeyError, RecursionError, TypeError):
            return None


@contextlib.contextmanager
def legible(path: Path) -> Iterator[None]:
    """Turn whatever reading a damaged entry raises into a StoreError: only that one is refused."""
    try:
        yield
    except RunbackError:
        raise
    except Exception as error:
        raise StoreError(f"{path} is damaged ({type(error).__name__}): remove it to give it up") from error


def waiting(folders: Iterable[Path]) -> list[Path]:
    """Return which of these runs' folders have an outbox: of runs that go on, or are not stored whole."""
    return [folder for folder in folders if (folder / OUTBOX).is_dir()]


def say_what_waits(folders: Iterable[Path]) -> None:
    """Say in one line how many of these runs, which have ended, are not stored whole."""
    count = len(waiting(folders))
    if count:
        runs, them = ("1 run waits", "it") if count == 1 else (f"{count} runs wait", "them")
        _logger.warning("%s to be stored whole: `runback sync` delivers %s", runs, them)


def _stamp() -> str:
    """Return a text that sorts after those before it, in this process and in others."""
    global _last
    _last = max(time.time_ns(), _last + 1)
    return f"{_last:020d}"


_last = 0
