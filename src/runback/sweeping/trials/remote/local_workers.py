"""Workers as processes of this machine."""

import secrets
import subprocess
import sys
import time
from pathlib import Path

from runback.errors import TrainingError
from runback.sweeping.trials.remote.workers import Fate

MODULE = "runback.sweeping.trials.remote.worker_process"

ENDING = 15.0
"""Seconds that workers get to end before they are killed."""


class LocalWorkers:
    """Starts workers beside the coordinator, and others in the place of those that die."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._count = 0
        self._own = secrets.token_hex(4)

    def start(self, folder: Path, n: int) -> None:
        """Start as many workers as there are fewer than `n`."""
        self._folder, self._n = folder, n
        for _ in range(n - sum(process.poll() is None for process in self._processes.values())):
            self._start_one()

    def fate(self, worker: str) -> Fate | None:
        """Return how a worker has ended; another one is started in its place."""
        process = self._processes.get(worker)
        code = None if process is None else process.poll()
        if code is None:
            return None
        del self._processes[worker]
        self.start(self._folder, self._n)
        return Fate("lost", f"its worker {worker} is gone (exit code {code})")

    def check(self, *, is_any_there: bool) -> None:
        """Raise TrainingError where all workers have ended."""
        if (
            not is_any_there
            and self._processes
            and all(process.poll() is not None for process in self._processes.values())
        ):
            raise TrainingError("all workers have ended")

    def close(self) -> None:
        """End them."""
        for process in self._processes.values():
            process.terminate()  # one that has not found its coordinator yet would look for it
        deadline = time.monotonic() + ENDING
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def _start_one(self) -> None:
        self._count += 1
        name = f"worker-{self._own}-{self._count}"
        command = [sys.executable, "-m", MODULE, str(self._folder), name]
        self._processes[name] = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own
