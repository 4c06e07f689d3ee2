"""The program that talks to Ray for a coordinator: `python -m …ray_driver`, in a session of its own.

Ray sets signal handlers, leaves the process group, and ends its process where a cluster is gone: none of
that is for a coordinator, which never imports it. The first line on the standard input says what is wanted,
each one behind it for which sweep, and how many workers; where it ends, the coordinator is gone or done, and
so are this program, its actors and its cluster. What happens is said on the standard output. Each line is
JSON.

    coordinator --pipes--> ray_driver --Ray--> RayActor, on a node --starts--> ray_worker --TLS--> coordinator
"""

import contextlib
import json
import logging
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from pydantic import TypeAdapter

from runback.sweeping.trials.remote.on_ray.ray_actor import THREADS, RayActor, WorkerPlace
from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings
from runback.sweeping.trials.remote.worker_process import NO_COORDINATOR
from runback.system.cores import available_cores

LOOK = 0.5
"""Seconds from one look at the actors to the next, where nothing happens."""

LEAVING = 15.0
"""Seconds that trials get to keep a checkpoint, where their coordinator is gone."""

SETTLING = 3.0
"""Seconds from the end of an actor that was killed until its worker's processes have certainly ended."""

ROOM = 10.0
"""Seconds without a place for an actor after which that is said."""

QUICK = 30.0
"""Seconds in which a worker has ended as soon as it began."""

AGAIN = 1.0
"""Seconds from the end of an actor to the start of the next one."""

REACHING = 10.0
"""Seconds in which a cluster's head has to answer."""

OBJECTS = 100 << 20
"""Bytes of a local cluster's object store: nothing of a trial goes there."""

Say = Callable[..., None]


@dataclass
class _Actor:
    handle: Any
    place: Any
    """What is there when it has a place on a node."""
    run: Any
    started: float
    has_place: bool = False


class RayDriver:
    """Keeps as many actors alive as are wanted, wherever the cluster has room."""

    def __init__(self, settings: RaySettings, temporary: str | None, mark: str, say: Say) -> None:
        self._settings, self._temporary, self._mark, self._say = settings, temporary, mark, say
        self._actors: dict[str, _Actor] = {}
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._count = self._quick = 0
        self._starts_at = 0.0
        self._folder: Path | None = None
        self._n = 0
        self._waits_since: float | None = None
        self._has_said_waiting = False

    def connect(self) -> None:
        """Start a cluster on free ports, or join one. Raises what Ray raises."""
        if self._settings.address not in (None, "auto"):
            _reach(self._settings.address)
        import ray

        knobs: dict[str, Any] = {}
        if self._settings.address is None:
            knobs = {
                "num_cpus": available_cores(),
                "include_dashboard": False,
                "object_store_memory": OBJECTS,
                "_temp_dir": self._temporary,
            }
        ray.init(self._settings.address or "local", log_to_driver=False, logging_level=logging.ERROR, **knobs)

    def start(self, folder: Path, n: int) -> None:
        """Keep `n` actors alive; those that are too many end when their workers do."""
        self._folder, self._n = folder, n

    @property
    def is_used(self) -> bool:
        """Whether it was told for which sweep."""
        return self._folder is not None

    def look(self) -> None:
        """See what has become of the actors, waiting a little for something to happen."""
        import ray

        self._start_missing()
        waited = {actor.run: name for name, actor in self._actors.items()}
        waited |= {actor.place: name for name, actor in self._actors.items() if not actor.has_place}
        if waited:
            ready, _ = ray.wait(list(waited), timeout=LOOK)
        else:
            time.sleep(LOOK)
            ready = []
        for reference in ready:
            name = waited[reference]
            actor = self._actors.get(name)
            if actor is None:
                continue
            if reference == actor.run:
                self._has_ended(name)
            else:
                actor.has_place, actor.started = True, time.monotonic()
                self._has_said_waiting = False
                self._say(placed=name)
        now = time.monotonic()
        due = [act for at, act in self._later if at <= now]
        self._later = [(at, act) for at, act in self._later if at > now]
        for act in due:
            act()
        self._look_for_room()

    def _start_missing(self) -> None:
        if time.monotonic() >= self._starts_at:
            for _ in range(self._n - len(self._actors)):
                self._start_one()

    def close(self) -> None:
        """Let the workers leave, and end the actors; a cluster of its own ends too."""
        import ray

        runs = [actor.run for actor in self._actors.values() if actor.has_place]
        for actor in self._actors.values():
            if actor.has_place:
                actor.handle.leave.remote()
        if runs:
            ray.wait(runs, num_returns=len(runs), timeout=LEAVING)
        for actor in self._actors.values():
            ray.kill(actor.handle)
        ray.shutdown()

    def _start_one(self) -> None:
        import ray

        self._count += 1
        name = f"ray-{self._mark}-{self._count}"
        place = WorkerPlace(
            str(self._folder),
            name,
            str(Path.cwd()),
            tuple(str(Path(entry).absolute()) for entry in sys.path),
            os.environ.get(THREADS),
        )
        # SPREAD: a node that joins is used, and none gets all.
        made = ray.remote(RayActor).options(
            max_concurrency=2, scheduling_strategy="SPREAD", **self._settings.options
        )
        handle: Any = made.remote()
        self._actors[name] = _Actor(handle, handle.where.remote(), handle.run.remote(place), time.monotonic())

    def _has_ended(self, name: str) -> None:
        import ray

        actor = self._actors.pop(name)
        is_quick = not actor.has_place or time.monotonic() - actor.started < QUICK
        self._starts_at = time.monotonic() + AGAIN
        try:
            code, why = ray.get(actor.run)
        except ray.exceptions.RayError as error:
            kind, reason = _fate(error)
            self._later.append(
                (time.monotonic() + SETTLING, lambda: self._say(ended=name, kind=kind, reason=reason))
            )
        else:
            ray.kill(actor.handle)
            reason = why or f"it ended with exit code {code}"
            if code == NO_COORDINATOR:
                is_quick = True
                reason = f"no coordinator was found from its node: {self._folder}/ray/{name}.log says where"
            self._say(ended=name, kind="lost", reason=reason)
            if code == 0:  # it was too many, or the sweep has ended
                return
            if why:
                self._say(failed=why)
                self._n = 0
                return
        self._quick = self._quick + 1 if is_quick else 0
        if self._quick > max(5, 2 * self._n):
            self._say(failed=f"the workers on Ray end as soon as they start: {reason}")
            self._n = 0

    def _look_for_room(self) -> None:
        """Say once that workers wait for room, and whether no node that there is could ever have it."""
        if not self._actors or any(actor.has_place for actor in self._actors.values()):
            self._waits_since = None
            return
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        if self._has_said_waiting or now - self._waits_since < ROOM:
            return
        self._has_said_waiting = True
        self._say(waiting=self._could_ever_fit())

    def _could_ever_fit(self) -> bool:
        import ray

        asked = self._settings.asked
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        return any(all(node.get(name, 0.0) >= amount for name, amount in asked.items()) for node in nodes)


def _fate(error: Exception) -> tuple[str, str]:
    """Return what an actor's end means for its trial: the kind of failure, and why."""
    from ray import exceptions

    text = str(error)
    if isinstance(error, exceptions.OutOfMemoryError) or "running low on memory" in text:
        return "out_of_memory", "Ray killed its worker: its node ran low on memory"
    if (
        isinstance(error, exceptions.NodeDiedError)
        or "node has died" in text
        or "node was terminated" in text
    ):
        return "lost", "its node of the Ray cluster is gone"
    if isinstance(error, exceptions.RayTaskError):
        return "lost", f"its Ray actor failed: {_first_line(str(error.cause))}"
    return "lost", "its Ray actor was killed, or died"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _why_not(error: Exception, settings: RaySettings) -> str:
    """Return in one line why there is no cluster."""
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        return text
    where = (
        "Ray cannot start on this machine"
        if settings.address is None
        else f"no Ray cluster at {settings.address}"
    )
    return f"{where}: {text or type(error).__name__}"


def _reach(address: str) -> None:
    """Raise OSError where nobody listens: Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=REACHING).close()


def _abandon(temporary: str | None) -> None:
    """End this process while it starts a cluster."""
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    _remove(temporary)
    os.killpg(0, signal.SIGKILL)


def _remove(temporary: str | None) -> None:
    if temporary is not None:
        shutil.rmtree(temporary, ignore_errors=True)


class _Orders:
    """What the coordinator says, line by line."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._read = b""
        self.has_ended = False

    @contextlib.contextmanager
    def needed(self, temporary: str | None) -> Iterator[None]:
        """End this process, and what it has started, if the coordinator goes meanwhile: Ray hears nothing."""
        is_over = threading.Event()

        def watch() -> None:
            poll = select.poll()
            poll.register(self._descriptor, 0)  # nothing but its end
            while not is_over.is_set():
                if poll.poll(200):
                    _abandon(temporary)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            is_over.set()
            watching.join()

    def next(self, timeout: float | None) -> Any:
        """Return its next line, decoded; None: there is none yet, or none any more."""
        while b"\n" not in self._read and not self.has_ended:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                return None
            said = os.read(self._descriptor, 1 << 16)
            self._read += said
            self.has_ended = not said
        line, found, self._read = self._read.partition(b"\n")
        return json.loads(line) if found else None


def main() -> int:
    """Serve one coordinator."""
    orders, events = _Orders(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    with Path(os.devnull).open("r+b") as nothing:
        for descriptor in (0, 1, 2):  # Ray's processes print, and are no coordinator's
            os.dup2(nothing.fileno(), descriptor)

    def say(**facts: Any) -> None:
        with contextlib.suppress(OSError):
            events.write(json.dumps(facts) + "\n")

    wanted = orders.next(None)
    if wanted is None:
        return 0
    settings = TypeAdapter(RaySettings).validate_python(wanted["settings"])
    driver = RayDriver(settings, wanted["temporary"], wanted["mark"], say)
    try:
        try:
            with orders.needed(wanted["temporary"]):
                driver.connect()
        except Exception as error:  # Ray raises many, and each means the same
            say(failed=_why_not(error, settings))
            return 2
        say(ready=True)
        try:
            while not orders.has_ended:
                order = orders.next(0.0 if driver.is_used else None)
                if order is not None:
                    driver.start(Path(order["folder"]), order["n"])
                elif driver.is_used:
                    driver.look()
        finally:
            driver.close()
    finally:
        _remove(wanted["temporary"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
