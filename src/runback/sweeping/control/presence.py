"""Whether a sweep runs, as far as can be told from its folder."""

import platform
import time
from pathlib import Path
from typing import Literal

from runback.sweeping.trials.remote import slurm_jobs
from runback.sweeping.watching.live_file import LiveView
from runback.system.files.file_lock import is_locked
from runback.system.files.folder_lock import LOCK
from runback.system.files.process_owner import is_abandoned, is_of_this_host
from runback.system.files.regular_file import read_regular

SILENCE = 60.0
"""Seconds in which a sweep on another machine writes something."""

ASKING = 5.0
"""Seconds from one question to SLURM's controller to the next."""

PROCESS = "detached"
"""The file in a sweep's folder with the mark of the process that goes on with it by itself."""

Presence = Literal["running", "starting", "queued", "unknown", "gone"]


class SweepWatch:
    """Looks at one sweep's folder, now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count, self._seen = -1, time.monotonic()
        self._asked: float = -ASKING
        self._states: list[str] | None = None
        self.waits_for = ""
        """What keeps its workers in SLURM's queue, while it starts and has none."""

    def look(self, view: LiveView | None) -> Presence:
        """Tell whether the sweep runs that has written `view` last.

        It may be queued, waiting for SLURM; it is unknown where SLURM does not answer.
        """
        if is_locked(self._folder / LOCK):
            return "running"
        now = time.monotonic()
        if view is not None and view.count != self._count:
            self._count, self._seen = view.count, now
        is_elsewhere = view is not None and view.host != platform.node() and view.end is None
        if is_elsewhere and now - self._seen < SILENCE:
            return "running"
        states = self._job_states(now)
        if states is None:
            return "unknown"
        if states:
            return "starting" if "RUNNING" in states else "queued"
        return "starting" if self._has_process() else "gone"

    def _job_states(self, now: float) -> list[str] | None:
        """Return the states of the coordinator's job, none where there is none any more; None: unknown."""
        jobs = slurm_jobs.read_jobs(self._folder, slurm_jobs.COORDINATOR)
        if not jobs:
            return []
        if now - self._asked >= ASKING:
            self._asked = now
            states = slurm_jobs.states(jobs)
            if states and "RUNNING" in states:
                workers = slurm_jobs.read_jobs(self._folder, slurm_jobs.WORKERS)
                self.waits_for = slurm_jobs.why_pending(workers)
            self._states = self._states if states is None else states
        return self._states

    def _has_process(self) -> bool:
        try:
            mark = read_regular(self._folder / PROCESS).decode(errors="replace")
        except OSError:
            return False
        return is_of_this_host(mark) and not is_abandoned(mark)
