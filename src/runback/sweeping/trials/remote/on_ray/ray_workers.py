"""Workers on a Ray cluster, or on one of this machine's own: the coordinator's side."""

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runback.errors import InputError, TrainingError
from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings
from runback.sweeping.trials.remote.workers import Fate
from runback.system.cores import available_cores
from runback.system.text.terminal import say

MODULE = "runback.sweeping.trials.remote.on_ray.ray_driver"

STARTING = 120.0
"""Seconds that Ray gets to start, or to join a cluster."""

ROOM = 600.0
"""Seconds that a sweep waits for a node that could have room for a worker, where none has."""

ENDING = 40.0
"""Seconds that Ray gets to end what it has started."""

RESTARTS = 3
"""How often the program that talks to Ray is started again, where it was killed."""

LONGEST_FOLDER = 25
"""Characters of a temporary folder's name: the sockets of Ray that are in it may have 107."""


class RayWorkers:
    """Keeps a sweep's workers alive as actors, through a program that talks to Ray (see `ray_driver`)."""

    def __init__(self, settings: RaySettings) -> None:
        """Begin to start a cluster, or join one. Errors: InputError where that cannot be."""
        self._settings = settings
        self._fates: dict[str, Fate] = {}
        self._started: tuple[Path, int] | None = None
        self._failure: str | None = None
        self._is_ready = False
        self._waits_until: float | None = None
        self._drivers = 0
        if importlib.util.find_spec("ray") is None:
            raise InputError("the engine ray needs Ray: pip install 'runback[ray]'")
        if settings.address is None and settings.cpus_per_trial > available_cores():
            raise InputError(
                f"hydra.sweeper.engine.cpus_per_trial is {settings.cpus_per_trial:g}, and this machine has "
                f"{available_cores()} cores: name a cluster with hydra.sweeper.engine.address"
            )
        self._start_driver()
        if settings.address is not None:  # what may be wrong is said before anything is stored
            try:
                self._wait_until_ready()
            except BaseException:
                self.close()
                raise

    def start(self, folder: Path, n: int) -> None:
        """Let `n` workers be kept alive. Errors: InputError where Ray does not start."""
        if self._started is None:
            if n == 0:
                return
            self._wait_until_ready()
            (folder / "ray").mkdir(exist_ok=True)
        self._started = (folder, n)
        self._order(folder=str(folder), n=n)

    def fate(self, worker: str) -> Fate | None:
        """Return how a worker has ended; another one is started in its place."""
        self._read()
        if worker not in self._fates and not worker.startswith(f"ray-{self._mark}-"):
            return Fate("lost", "the program that talks to Ray was killed")
        return self._fates.get(worker)

    def check(self, *, is_any_there: bool) -> None:
        """Raise TrainingError where no worker will come; say once where all wait for room."""
        if is_any_there:
            return
        self._read()
        if self._failure is not None:
            raise TrainingError(self._failure)
        if self._waits_until is not None and time.monotonic() > self._waits_until:
            raise TrainingError(f"no node of the Ray cluster has {self._settings.about} for a worker")

    def close(self) -> None:
        """End the workers, and the cluster if it is our own."""
        with contextlib.suppress(OSError):
            self._driver.stdin.close()  # type: ignore[union-attr]
        try:
            self._driver.wait(ENDING)
        except subprocess.TimeoutExpired:
            self._kill()
        self._forget()

    def _start_driver(self) -> None:
        self._drivers += 1
        self._mark = secrets.token_hex(3)
        self._is_ready, self._heard = False, b""
        self._temporary = None
        variables = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        if self._settings.address is None:
            long = len(tempfile.gettempdir()) > LONGEST_FOLDER
            self._temporary = tempfile.mkdtemp(prefix="runback-ray-", dir="/tmp" if long else None)  # noqa: S108
            # Nobody else on this machine, or on its network, shall run anything on our cluster.
            variables |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        self._driver = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**variables, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        os.set_blocking(self._driver.stdout.fileno(), False)  # type: ignore[union-attr]
        self._order(settings=asdict(self._settings), temporary=self._temporary, mark=self._mark)

    def _order(self, **facts: Any) -> None:
        with contextlib.suppress(OSError):
            self._driver.stdin.write(json.dumps(facts).encode() + b"\n")  # type: ignore[union-attr]
            self._driver.stdin.flush()  # type: ignore[union-attr]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTING
        while not self._is_ready:
            self._read()
            if self._failure is not None:
                raise InputError(self._failure)
            if time.monotonic() > deadline:
                raise InputError(f"Ray does not answer within {STARTING:.0f} s")
            time.sleep(0.02)

    def _read(self) -> None:
        """Take in what the program says that talks to Ray; one that was killed is started again."""
        if self._driver.stdout is None or self._driver.stdout.closed:
            return
        is_over = self._driver.poll() is not None  # before its last words are read
        while said := self._driver.stdout.read(1 << 16):
            self._heard += said
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if is_over and self._failure is None:
            self._restart()

    def _take(self, facts: dict[str, Any]) -> None:
        match facts:
            case {"ready": True}:
                self._is_ready = True
            case {"failed": str(reason)}:
                self._failure = reason
            case {"ended": str(name), "kind": str(kind), "reason": str(reason)}:
                self._fates[name] = Fate(kind, f"{reason} (worker {name})")
            case {"placed": str()}:
                self._waits_until = None
            case {"waiting": True}:
                say(
                    "no worker has a place on the Ray cluster yet, which is busy: "
                    f"each needs {self._settings.about}"
                )
            case {"waiting": False}:
                self._waits_until = time.monotonic() + ROOM
                say(
                    f"warning: no node of the Ray cluster has {self._settings.about} for a worker: "
                    f"waiting {ROOM / 60:.0f} minutes for one that has"
                )

    def _restart(self) -> None:
        self._kill()
        self._forget()
        if not self._is_ready or self._drivers > RESTARTS:
            self._failure = "Ray has ended, and does not start again"
            return
        self._start_driver()
        if self._started is not None:
            folder, n = self._started
            self._order(folder=str(folder), n=n)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._driver.pid, signal.SIGKILL)
        self._driver.wait()

    def _forget(self) -> None:
        for stream in (self._driver.stdin, self._driver.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
