"""Trials as processes of this machine, forked from a server that has the heavy imports behind it."""

import contextlib
import multiprocessing
import os
import signal
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import cloudpickle

from runback.chatter import silenced
from runback.sweeping import messages, process
from runback.sweeping.engines.engine import Ended, Event, Said
from runback.sweeping.memory import OomCounter, complaint
from runback.sweeping.process import OUTPUT, Job

PRELOADED = ("runback.sweeping.hydra_ready", "runback.sweeping.process")
"""What every trial imports, whatever its app."""

LEAVING = 5.0
"""Seconds that a process gets to be gone after its job has succeeded."""

UNCAUGHT = 1
"""The exit code of a process that an exception ended: one that got no memory to tell its outcome."""

SETTLING = 1.0
"""Seconds after a job's start in which the next one's process is not warmed up: it would slow that start."""


@dataclass(frozen=True)
class _Forked:
    process: BaseProcess
    connection: Connection


@dataclass
class _Running:
    job: Job
    process: BaseProcess
    connection: Connection
    oom_counter: OomCounter
    oom_kills: int
    """The count that does not concern it: from before its start, and of those killed beside it."""
    printed: int
    """Bytes of its output that were there before its start."""
    outcome: messages.Outcome | messages.Unfit | None = None
    open: bool = True


class LocalEngine:
    """One process a trial, by `forkserver` (preloaded, milliseconds) or `spawn` (fresh, seconds)."""

    def __init__(
        self,
        start_method: str = "forkserver",
        preload: Sequence[str] = (),
        warm_up: Callable[[], None] | None = None,
    ) -> None:
        self._warm_up = None if warm_up is None else cloudpickle.dumps(warm_up)
        self._context = multiprocessing.get_context(start_method)
        self._running: dict[int, _Running] = {}
        self._leaving: list[_Running] = []  # they have succeeded, and tear themselves down
        self._waiting: _Forked | None = None  # forked ahead of the next job
        self._expects_next = False
        if start_method == "forkserver":
            self._context.set_forkserver_preload([*PRELOADED, *preload])
            # The server imports while the coordinator opens its stores. What imports have to say about
            # the machine would land in the middle of the live table; each trial has a log of its own.
            with silenced():
                forkserver.ensure_running()

    @property
    def is_busy(self) -> bool:
        """Whether any job runs."""
        return bool(self._running)

    def start(self, job: Job) -> None:
        """Start a process for this job; returns at once, unless another one has yet to leave its device."""
        self._see_off([leaving for leaving in self._leaving if leaving.job.device == job.device is not None])
        self._expects_next = True
        waiting, self._waiting = self._waiting, None
        try:
            self._send(job, waiting or self._fork())
        except OSError:  # it was killed while it waited
            self._send(job, self._fork())

    def close(self) -> None:
        """End the process that waits for the next job, and those that are done."""
        self._see_off(list(self._leaving))
        if self._waiting is not None:
            self._waiting.process.kill()  # it may be in the middle of a download
            self._waiting.process.join()
            self._waiting.connection.close()
            self._waiting = None

    def events(self, timeout: float) -> list[Event]:
        """Return what happened, waiting up to `timeout` seconds for something to happen."""
        watched: dict[Any, int] = {}
        for number, running in self._running.items():
            watched[running.process.sentinel] = number
            if running.open:
                watched[running.connection] = number
        if self._waiting is None and self._expects_next:
            self._waiting = self._fork(self._warm_up)
        self._see_off([leaving for leaving in self._leaving if leaving.process.exitcode is not None])
        numbers = dict.fromkeys(watched[ready] for ready in wait(list(watched), timeout))
        events: list[Event] = []
        for number in numbers:
            events += self._drain(number)
            if isinstance(outcome := self._running[number].outcome, messages.Completed | messages.Pruned):
                events.append(self._leave(number, outcome))
            elif self._running[number].process.exitcode is not None:
                events += self._drain(number)  # what was sent between the last look and the end
                events += self._reap(number)
        return events

    def answer(self, number: int, prune: bool) -> None:
        """Answer a trial's report; a trial that died meanwhile hears nothing."""
        with contextlib.suppress(OSError, KeyError):
            self._running[number].connection.send(prune)

    def stop(self, number: int) -> None:
        """Ask a trial to stop."""
        self._expects_next = False
        self._signal(number, signal.SIGTERM)

    def kill(self, number: int) -> None:
        """End a trial's process at once."""
        self._expects_next = False  # whatever forks processes may be gone too
        self._signal(number, signal.SIGKILL)

    def _send(self, job: Job, forked: _Forked) -> None:
        output = job.folder / OUTPUT
        printed = output.stat().st_size if output.exists() else 0
        counter = OomCounter.of(forked.process.pid)
        kills = counter.read()
        forked.connection.send(job)
        self._running[job.number] = _Running(job, forked.process, forked.connection, counter, kills, printed)

    def _fork(self, warm_up: bytes | None = None) -> _Forked:
        ours, theirs = self._context.Pipe()
        child = self._context.Process(  # type: ignore[attr-defined]
            target=process.run, args=(theirs, warm_up, SETTLING)
        )
        with _without_main_module():
            child.start()
        theirs.close()
        return _Forked(child, ours)

    def _signal(self, number: int, signum: signal.Signals) -> None:
        running = self._running.get(number)
        if running is None or running.process.pid is None or running.process.exitcode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.process.pid, signum)

    def _drain(self, number: int) -> list[Event]:
        running = self._running[number]
        events: list[Event] = []
        try:
            while running.open and running.connection.poll():
                message = running.connection.recv()
                if isinstance(message, messages.Report | messages.Attribute):
                    events.append(Said(number, message))
                else:
                    running.outcome = message
        except (EOFError, OSError):
            running.open = False
        return events

    def _leave(self, number: int, outcome: messages.Outcome) -> Event:
        """Take a job as ended that has succeeded: what is next need not wait for its process."""
        self._leaving.append(self._running.pop(number))
        return Ended(number, outcome)

    def _see_off(self, leaving: Sequence[_Running]) -> None:
        for running in leaving:
            running.process.join(LEAVING)
            if running.process.exitcode is None:
                running.process.kill()
                running.process.join()
            running.connection.close()
            self._leaving.remove(running)

    def _reap(self, number: int) -> list[Event]:
        running = self._running.pop(number)
        running.process.join()
        running.connection.close()
        outcome = running.outcome or self._lost(running)
        if not isinstance(outcome, messages.Unfit):
            return [Ended(number, outcome)]
        self._send(running.job, self._fork())
        return []

    def _lost(self, running: _Running) -> messages.Failed:
        exitcode = running.process.exitcode
        if exitcode == -signal.SIGKILL and running.oom_counter.read() > running.oom_kills:
            for other in self._running.values():
                if other.oom_counter == running.oom_counter:
                    other.oom_kills += 1
            return messages.Failed("out_of_memory", "its process was killed by the system for its memory")
        if exitcode in (-signal.SIGABRT, UNCAUGHT):
            words = complaint(running.job.folder / OUTPUT, running.printed)
            if words is not None:
                return messages.Failed("out_of_memory", f"{_last_words(exitcode)}: {words}")
        return messages.Failed("lost", _last_words(exitcode))


def _last_words(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"its process was killed by {signal.Signals(-exitcode).name}"
    return f"its process ended with exit code {exitcode}"


@contextlib.contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep multiprocessing from importing the script again in the child: jobs travel by value."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
