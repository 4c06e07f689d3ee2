"""Delivers, and ends, the runs of processes that are gone: what they could not deliver themselves."""

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runback.errors import InputError, RunbackError, StoreAway
from runback.system.files.folder_lock import alone_in
from runback.tracking.mlflow_limits import first_line
from runback.tracking.read.find_runs import close_runs, end_killed, has_run
from runback.tracking.store import Store
from runback.tracking.tags import FAILURE_TAG
from runback.tracking.write.background_delivery import BackgroundDelivery
from runback.tracking.write.delivery import END, deliver_folder
from runback.tracking.write.outbox import Outbox, waiting
from runback.tracking.write.run_writer import SERVER_FINISH, Status


@dataclass(frozen=True)
class Closing:
    """The end of all runs with these tags, which one process had that is gone."""

    tags: Mapping[str, str]
    status: Status
    reason: str | None
    failure: str | None = None
    """The kind of the failure, where it was one."""
    interrupted: str | None = None
    """The ID of a run that ends so too where its process, when it was interrupted, has ended it as KILLED."""
    is_shared: bool = False
    """Whether other coordinators may have runs with these tags: only the run that is named ends."""


class DeadRuns:
    """Folders of runs whose processes have ended, to be delivered in a thread of its own.

    Waits for the store as a `BackgroundDelivery` does: a little where it works, not at all while it is away.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._delivery = BackgroundDelivery(self._work)
        self._folders: dict[Path, None] = {}
        self._closings: dict[Path, tuple[str | None, Closing]] = {}
        self._lock = threading.Lock()

    def deliver(self, folders: Iterable[Path]) -> None:
        """Deliver what waits in these folders, if anything does, without waiting."""
        to_deliver = waiting(folders)
        if to_deliver:
            with self._lock:
                self._folders.update(dict.fromkeys(to_deliver))
            self._delivery.order()

    def close(self, folder: Path, run_id: str | None, closing: Closing) -> None:
        """End the run of the process that is gone from `folder`, and tag its failure.

        `run_id` is the run as far as it is known; others with the closing's tags may run too.
        """
        with contextlib.suppress(OSError):  # on a full disk the store itself may still take it
            self._put(folder, run_id, closing)
        with self._lock:
            self._folders.update(dict.fromkeys(waiting([folder])))
            self._closings[folder] = (run_id, closing)
        self._delivery.bring()

    def forget(self, folder: Path) -> None:
        """Leave a folder to the process that takes it over."""
        with self._lock:
            self._folders.pop(folder, None)
            self._closings.pop(folder, None)

    def flush(self) -> None:
        """Wait a little until everything is delivered."""
        self._delivery.flush(SERVER_FINISH)

    def finish(self) -> None:
        """The same, for the last time."""
        self.flush()
        self._delivery.stop()

    def _put(self, folder: Path, run_id: str | None, closing: Closing) -> None:
        outbox = Outbox(folder)
        has_run = outbox.run_id is not None  # else its process was killed before it had created one
        if closing.is_shared and not has_run:  # its run, if it has one, may be in another machine's store
            return
        if not has_run and run_id is not None:
            outbox.belongs_to(run_id, str(self.store))
        has_ended = not waiting([folder]) or END in {entry.kind for entry in outbox.entries()}
        if has_run and not has_ended:
            ended_at = int(time.time() * 1000)
            reason = first_line(closing.reason) if closing.reason else None
            outbox.put(END, {"status": closing.status, "ended_at": ended_at, "reason": reason})
        if closing.failure is not None and (has_run or run_id is not None):
            outbox.put("tags", {FAILURE_TAG: closing.failure})

    def _work(self) -> None:
        with self._lock:
            folders, closings = list(self._folders), dict(self._closings)
        for folder in folders:
            self._deliver(folder)
        for folder, (run_id, closing) in closings.items():
            if folder in self._closings:  # else a process has taken it over
                self._close(folder, run_id, closing)

    def _deliver(self, folder: Path) -> None:
        try:
            with alone_in(folder, "its run"):
                if waiting([folder]):
                    deliver_folder(self.store, folder)
        except StoreAway:
            raise
        except InputError:
            pass  # another process holds it, and delivers it
        with self._lock:
            self._folders.pop(folder, None)

    def _close(self, folder: Path, run_id: str | None, closing: Closing) -> None:
        try:
            end: dict[str, Any] = {"status": closing.status, "reason": closing.reason}
            if not closing.is_shared:
                close_runs(self.store, tags=closing.tags, **end)
            elif run_id is not None:
                close_runs(self.store, tags=closing.tags, run_id=run_id, **end)
            is_here = not closing.is_shared or has_run(self.store, run_id or "")
            if closing.interrupted is not None and is_here:
                end_killed(self.store, closing.interrupted, status=closing.status, reason=closing.reason)
        except StoreAway:
            raise
        except RunbackError:
            pass  # refused, or the disk is full: the sweep goes on
        with self._lock:
            self._closings.pop(folder, None)
