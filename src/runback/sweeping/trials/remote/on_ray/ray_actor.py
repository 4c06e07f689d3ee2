"""An actor: holds a place on a node of a Ray cluster for a worker, which is a process of its own there."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

import runback

MODULE = "runback.sweeping.trials.remote.on_ray.ray_worker"

OF_RAY = ("RAY_", "PYTHONBREAKPOINT")
"""How the variables begin that Ray sets for its own processes."""

THREADS = "OMP_NUM_THREADS"
"""The variable that Ray sets where nobody has."""

CLOSING = 15.0
"""Seconds that the processes of a worker that has ended get to end."""


@dataclass(frozen=True)
class WorkerPlace:
    """Where a worker works: nothing in here is secret, since Ray may show it."""

    folder: str
    name: str
    working_directory: str
    path: tuple[str, ...]
    """The folders that Python imports from, where the coordinator runs."""
    omp_num_threads: str | None
    version: str = runback.__version__


class RayActor:
    """A worker's place; Ray runs `leave` and `where` beside `run`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._is_leaving = False

    def where(self) -> str:
        """Return the name of its machine: it has one."""
        return os.uname().nodename

    def run(self, place: WorkerPlace) -> tuple[int, str]:
        """Let a worker work to its end; return its exit code, and a reason where it cannot begin."""
        folder = Path(place.folder)
        if self._is_leaving:
            return 0, ""
        if place.version != runback.__version__:
            return 2, f"the node has runback {runback.__version__}, and the sweep runs with {place.version}"
        if not folder.is_dir():
            return 2, f"the node does not see {folder}: a sweep's folder has to be shared by all nodes"
        printed = folder / "ray" / f"{place.name}.log"
        with printed.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own
                [sys.executable, "-m", MODULE, place.folder, place.name],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=place.working_directory if Path(place.working_directory).is_dir() else folder,
                env=_environment(place),
                start_new_session=True,
            )
        code = self._process.wait()
        _end_session(self._process.pid)
        if not printed.stat().st_size:
            printed.unlink()
        return code, ""

    def leave(self) -> None:
        """Let the worker's trial keep a checkpoint, and end it."""
        self._is_leaving = True
        if self._process is not None and self._process.poll() is None:
            for signum in (signal.SIGTERM, signal.SIGCONT):
                with contextlib.suppress(ProcessLookupError):
                    self._process.send_signal(signum)


def _environment(place: WorkerPlace) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith((*OF_RAY, THREADS))}
    if place.omp_num_threads is not None:
        own[THREADS] = place.omp_num_threads
    return {**own, "PYTHONPATH": os.pathsep.join(place.path)}


def _end_session(leader: int) -> None:
    """Wait until no process of a session is left, and kill what stays."""
    deadline = time.monotonic() + CLOSING
    while (left := _session(leader)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _session(leader: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
