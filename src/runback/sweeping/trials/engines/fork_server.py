"""The server that forks trials: multiprocessing's own, deaf to signals for the whole group, and replaced.

Whoever asks a stopped server (SIGSTOP) for a process waits for ever: it is killed. Then such requests fail,
and `ensure_running` starts another one. Its trials live on.

All that is private to multiprocessing is used in here.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing import process as processes
from multiprocessing.process import BaseProcess

import psutil

from runback.sweeping.trials.engines.liveness import Life
from runback.system.stop_signals import STOPPING
from runback.system.text.quiet_stderr import silenced

LOOK = 1.0
"""Seconds from one look at the server to the next."""

LOOKS = 3
"""Looks in a row that see a server stopped before it is killed: one that goes on soon, stays."""

GONE = 5.0
"""Seconds that a killed server gets to be gone."""


def ensure_running() -> None:
    """Start the server unless it runs; what its imports have to say about the machine is held back."""
    if _status() in (None, psutil.STATUS_ZOMBIE):
        with silenced(), _blocked():
            forkserver.ensure_running()


def pid() -> int | None:
    """Return the server's process number; None where none was started."""
    return forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined,no-any-return]


def is_stopped() -> bool:
    """Say whether there is a server, and somebody has stopped it."""
    return _status() == psutil.STATUS_STOPPED


def kill() -> None:
    """Kill the server, if there is one."""
    number = pid()
    if number is None:
        return
    life = Life(number)
    life.signal(signal.SIGKILL)
    life.wait(GONE)
    life.close()


def disown(process: BaseProcess) -> None:
    """Keep multiprocessing from waiting for a process when the interpreter ends."""
    processes._children.discard(process)  # type: ignore[attr-defined]


class Watch:
    """Kills a server that stays stopped, until it is closed."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._look, name="fork server's watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more; a server that is stopped now is killed now."""
        self._closed.set()
        self._thread.join()
        if is_stopped():
            kill()

    def _look(self) -> None:
        looks = 0
        while not self._closed.wait(LOOK):
            looks = looks + 1 if is_stopped() else 0
            if looks >= LOOKS:
                kill()


def _status() -> str | None:
    number = pid()
    with contextlib.suppress(psutil.NoSuchProcess):
        return None if number is None else psutil.Process(number).status()
    return None


@contextlib.contextmanager
def _blocked() -> Iterator[None]:
    """Block the signals that ask a process to stop in this thread, and in what it starts."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        resource_tracker.ensure_running()  # the server needs it; to start it lets signals through
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
