"""Trials as processes of this machine, forked from a server that has the heavy imports behind it."""

import contextlib
import multiprocessing
import pickle
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cloudpickle

from runback.sweeping.trials import messages, trial_output
from runback.sweeping.trials.engines import fork_server, trial_process
from runback.sweeping.trials.engines.engine import Ended, Event, MessageReceived
from runback.sweeping.trials.engines.orphans import end_orphans
from runback.sweeping.trials.engines.trial_process import Child
from runback.sweeping.trials.exception_report import one_line
from runback.sweeping.trials.out_of_memory import OomCounter, complaint
from runback.sweeping.trials.trial import Trial
from runback.sweeping.trials.trial_output import OUTPUT

PRELOADED = (
    "runback.sweeping.trials.engines.server_start",
    "runback.sweeping.trials.hydra_preload",
    "runback.sweeping.trials.worker",
)
"""The modules that every trial imports, whatever its app."""

LEAVING = 5.0
"""Seconds that a process gets to be gone after its trial has succeeded."""

UNCAUGHT = 1
"""The exit code of a process that an exception ended: one that got no memory to send its outcome."""

SETTLING = 1.0
"""Seconds after a trial's start in which the next one's process is not warmed up: that would slow it."""

LOOK = 1.0
"""Seconds from one look at how much running trials have printed to the next."""


@dataclass
class _RunningProcess:
    trial: Trial
    child: Child
    oom_counter: OomCounter
    oom_kills: int
    """The count that does not concern it: from before its start, and of those killed beside it."""
    printed: int
    """Bytes of its output that were there before its start."""
    outcome: messages.Outcome | messages.Paused | messages.Unfit | None = None
    open: bool = True


class LocalEngine:
    """One process a trial, by `forkserver` (preloaded, milliseconds) or `spawn` (fresh, seconds)."""

    def __init__(
        self,
        start_method: str = "forkserver",
        preload: Sequence[str] = (),
        warm_up: Callable[[], None] | None = None,
        also: Sequence[int] = (),
    ) -> None:
        """Make an engine whose `events` returns early, too, where one of these descriptors can be read."""
        self._also = also
        self._warm_up = None if warm_up is None else cloudpickle.dumps(warm_up)
        self._context = multiprocessing.get_context(start_method)
        self._running: dict[int, _RunningProcess] = {}
        self._leaving: list[_RunningProcess] = []  # they have succeeded, and tear themselves down
        self._waiting: Child | None = None  # forked ahead of the next trial
        self._expects_next = False
        self._looked = 0.0
        self._watch: fork_server.Watch | None = None
        if start_method == "forkserver":
            self._context.set_forkserver_preload([*PRELOADED, *preload])
            fork_server.ensure_running()  # it imports while the coordinator opens its stores
            self._watch = fork_server.Watch()

    @property
    def is_busy(self) -> bool:
        """Whether any trial runs."""
        return bool(self._running)

    @property
    def is_ready(self) -> bool:
        """A process can always be forked."""
        return True

    def start(self, trial: Trial) -> None:
        """Start a process for this trial; returns at once, unless one leaves its folder or device first."""
        self._see_off([leaving for leaving in self._leaving if _is_in_the_way(leaving.trial, trial)])
        self._expects_next = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            try:
                return self._send(trial, waiting)
            except OSError:  # it was killed while it waited
                waiting.see_off(0)
        return self._send(trial, self._fork())

    def close(self) -> None:
        """End the process that waits for the next trial, those that are done, and what still runs."""
        for number in self._running:
            self.kill(number)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.see_off(0)  # it may be in the middle of a download
        for running in self._running.values():
            running.child.see_off(LEAVING)
        self._running.clear()
        deadline = time.monotonic() + LEAVING
        while self._leaving:
            self._see_off(self._leaving[:1], deadline - time.monotonic())
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def events(self, timeout: float) -> list[Event]:
        """Return what happened, waiting up to `timeout` seconds for something to happen."""
        if self._waiting is None and self._expects_next:
            self._waiting = self._fork(self._warm_up)
        self._see_off([leaving for leaving in self._leaving if leaving.child.life.is_over])
        self._limit_outputs()
        watched = self._watched()
        ready = wait([*watched, *self._also], timeout)
        numbers = dict.fromkeys(watched[one] for one in ready if one in watched)
        events: list[Event] = []
        for number in numbers:
            is_over = self._running[number].child.life.is_over  # before its last messages are read
            events += self._drain(number)
            outcome = self._running[number].outcome
            if isinstance(outcome, messages.Completed | messages.Pruned | messages.Paused):
                events.append(self._leave(number, outcome))
            elif is_over:
                events += self._reap(number)
        return events

    def answer(self, number: int, answer: messages.Answer) -> None:
        """Answer a trial's report; a trial that died meanwhile hears nothing."""
        with contextlib.suppress(OSError, KeyError):
            self._running[number].child.connection.send(answer)

    def stop(self, number: int) -> None:
        """Ask a trial to stop."""
        self._expects_next = False
        self._signal(number, signal.SIGTERM)

    def kill(self, number: int) -> None:
        """End a trial's process at once."""
        self._expects_next = False  # whatever forks processes may be gone too
        self._signal(number, signal.SIGKILL)

    def end_orphans(self, trials: Sequence[tuple[int, str, Path]]) -> None:
        """Wait until these trials' processes have ended, see `end_orphans`."""
        end_orphans(trials)

    def resize(self, n: int) -> None:
        """Do nothing: processes are started as trials come."""

    def _send(self, trial: Trial, started: Child) -> None:
        log = trial.folder / OUTPUT
        printed = log.stat().st_size if log.exists() else 0
        counter = OomCounter.of(started.pid)
        kills = counter.read()
        started.connection.send(trial)
        self._running[trial.number] = _RunningProcess(trial, started, counter, kills, printed)

    def _fork(self, warm_up: bytes | None = None) -> Child:
        return trial_process.start(self._context, warm_up, SETTLING)

    def _signal(self, number: int, signum: signal.Signals) -> None:
        running = self._running.get(number)
        if running is not None:
            running.child.signal(signum)

    def _watched(self) -> dict[Any, int]:
        """Return what is ready when something happens, and to which trial."""
        watched: dict[Any, int] = {}
        for number, running in self._running.items():
            if running.child.watched is not None:
                watched[running.child.watched] = number
            if running.open:
                watched[running.child.connection] = number
        return watched

    def _limit_outputs(self) -> None:
        """Shorten what running trials have printed, where it is far too much, now and then."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        for running in self._running.values():
            if trial_output.shorten_all(running.trial.folder):
                running.printed = min(running.printed, trial_output.HEAD)

    def _drain(self, number: int) -> list[Event]:
        running = self._running[number]
        events: list[Event] = []
        try:
            while running.open and running.child.connection.poll():
                message = running.child.connection.recv()
                if isinstance(message, messages.Report | messages.Attribute | messages.Notice):
                    events.append(MessageReceived(number, message))
                elif isinstance(message, messages.Unfit | messages.Paused | messages.Outcome):
                    running.outcome = message
        except (EOFError, OSError, pickle.UnpicklingError):
            running.open = False
        return events

    def _leave(self, number: int, outcome: messages.Outcome | messages.Paused) -> Event:
        """Take a trial as ended that has succeeded: what is next need not wait for its process."""
        self._leaving.append(self._running.pop(number))
        return Ended(number, outcome)

    def _see_off(self, leaving: Sequence[_RunningProcess], seconds: float = LEAVING) -> None:
        for running in leaving:
            running.child.see_off(max(0.0, seconds))
            trial_output.tidy_all(running.trial.folder)
            self._leaving.remove(running)

    def _reap(self, number: int) -> list[Event]:
        running = self._running.pop(number)
        outcome = running.outcome or self._lost(running)
        running.child.see_off(0)
        trial_output.tidy_all(running.trial.folder)
        if not isinstance(outcome, messages.Unfit):
            return [Ended(number, outcome)]
        self._send(running.trial, self._fork())
        return []

    def _lost(self, running: _RunningProcess) -> messages.Failed:
        exitcode = running.child.exitcode
        if exitcode == -signal.SIGKILL and running.oom_counter.read() > running.oom_kills:
            for other in self._running.values():
                if other.oom_counter == running.oom_counter:
                    other.oom_kills += 1
            return messages.Failed("out_of_memory", "its process was killed by the system for its memory")
        if exitcode in (-signal.SIGABRT, UNCAUGHT):
            words = complaint(running.trial.folder / OUTPUT, running.printed)
            if words is not None:
                return messages.Failed("out_of_memory", one_line(f"{_last_words(exitcode)}: {words}"))
        return messages.Failed("lost", _last_words(exitcode))


def _is_in_the_way(leaving: Trial, trial: Trial) -> bool:
    """Tell whether a trial whose process has yet to leave has the device of another, or is the same one.

    In its folder it would otherwise put tidied logs in the place of those that the next process writes.
    """
    return leaving.folder == trial.folder or leaving.device == trial.device is not None


def _last_words(exitcode: int | None) -> str:
    if exitcode is None:
        return "its process is gone, and the server that would know how it ended too"
    if exitcode < 0:
        return f"its process was killed by {_name(-exitcode)}"
    return f"its process ended with exit code {exitcode}"


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:  # a real-time signal, which has none
        return f"signal {signum}"
