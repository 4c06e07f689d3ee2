"""The process of one trial, as its coordinator has it."""

import contextlib
import signal
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

import psutil

from runback.errors import TrainingError
from runback.sweeping.trials import worker
from runback.sweeping.trials.engines import fork_server
from runback.sweeping.trials.engines.liveness import Life

TRIES = 3
"""Attempts to start a process, each with a server of its own, before it is given up."""

KILLING = 30.0
"""Seconds in which more servers than that may die: somebody, or a system short of memory, may kill some."""

PAUSE = 0.25
"""Seconds from the death of a server to the start of the next one."""

KILLED = 5.0
"""Seconds that the system gets to end a killed process."""

EXIT_CODE_GRACE = 1.0
"""Seconds that the server gets to report the exit code of a process."""

UNKNOWN_EXIT_CODE = 255
"""The exit code that multiprocessing gives where the server has died that would know it."""


@dataclass
class Child:
    """A process that runs a trial, or waits for one, and our end of its pipe."""

    process: BaseProcess
    connection: Connection
    life: Life
    _helpers: list[psutil.Process] = field(default_factory=list)
    """The processes that it had started itself when it was signalled to end."""

    @property
    def pid(self) -> int | None:
        """Its process number."""
        return self.process.pid

    @property
    def watched(self) -> Any:
        """An object to wait for that is ready when it ends; None: there is none, it has to be polled."""
        if self.life.descriptor is not None:
            return self.life.descriptor
        is_over_elsewhere = self.process.exitcode is not None and not self.life.is_over
        return None if is_over_elsewhere else self.process.sentinel

    @property
    def exitcode(self) -> int | None:
        """The exit code of a process that has ended; None where nobody has it."""
        deadline = time.monotonic() + EXIT_CODE_GRACE
        while (code := self.process.exitcode) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return None if code == UNKNOWN_EXIT_CODE else code

    def signal(self, signum: signal.Signals) -> None:
        """Ask it to end, also if somebody has stopped it."""
        with contextlib.suppress(psutil.Error):
            if not self.life.is_over and self.pid is not None:
                self._helpers += psutil.Process(self.pid).children(recursive=True)
        self.life.signal(signum)
        self.life.signal(signal.SIGCONT)

    def see_off(self, seconds: float) -> None:
        """Give it so long to be gone, then kill it, and let go of it; with it goes what it had started."""
        if not self.life.wait(seconds):
            self.signal(signal.SIGKILL)
            self.life.wait(KILLED)
        for helper in self._helpers:
            with contextlib.suppress(psutil.Error):
                helper.kill()  # its time of start identifies it too
        with contextlib.suppress(OSError):
            _ = self.process.exitcode  # lets the system forget it
        self.connection.close()
        self.life.close()


def start(context: BaseContext, *arguments: Any) -> Child:
    """Start a process that waits for a trial (see `worker.run`). Raises TrainingError if the system has none.

    A server that dies meanwhile is replaced: for a while, since its own imports may be what kills it.
    """
    deadline, tries = time.monotonic() + KILLING, 0
    while True:
        tries += 1
        try:
            return _start(context, *arguments)
        except (EOFError, OSError) as error:
            has_died = isinstance(error, EOFError | ConnectionError)
            if tries >= TRIES and not (has_died and time.monotonic() < deadline):
                reason = str(error) or type(error).__name__
                raise TrainingError(f"cannot start a process for a trial: {reason}") from error
        fork_server.kill()  # it is of no use, or about to be gone
        if has_died:
            time.sleep(PAUSE)


def _start(context: BaseContext, *arguments: Any) -> Child:
    if context.get_start_method() == "forkserver":
        fork_server.ensure_running()
    ours, theirs = context.Pipe()
    started = context.Process(target=worker.run, args=(theirs, *arguments))  # type: ignore[attr-defined]
    try:
        with theirs, _without_main_module():
            started.start()
    except BaseException:
        ours.close()  # if there is a process all the same, it ends
        raise
    fork_server.disown(started)
    return Child(started, ours, Life(started.pid))


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep multiprocessing from importing the script again in the child: a trial's task travels by value."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
