"""Turns a signal that asks the process to stop into an exception, at a moment when it can be stopped well."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from runback.errors import Stopped

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A system that shuts down or a scheduler whose time is up; Ctrl-C; a terminal that was closed."""

_AGAIN = 0.05
"""Seconds after which a signal is sent again whose exception got lost."""

_ONE = 1.0
"""Seconds within which several SIGTERMs are one."""


def _stopped_by(signum: int) -> str:
    return f"stopped by {signal.Signals(signum).name}"


@contextlib.contextmanager
def stop_on_signals(*signums: int, reason: Callable[[int], str] = _stopped_by) -> Iterator[None]:
    """Turn signals, by default SIGTERM and SIGHUP, into Stopped, so that runs are closed on the way out.

    One that is ignored, as SIGHUP is under nohup, stays so. Python drops an exception that is raised where it
    can go nowhere: in a destructor, or in what a weak reference calls when its object goes. There, the signal
    is sent again; so is SIGINT.
    """

    def stop(signum: int, _frame: object) -> None:
        signal.signal(signum, signal.SIG_IGN)  # one stop is enough
        raise Stopped(reason(signum), 128 + signum)

    def dropped(what: "sys.UnraisableHookArgs") -> None:
        error = what.exc_value
        if not isinstance(error, Stopped | KeyboardInterrupt):
            report(what)
            return
        signum = error.exit_code - 128 if isinstance(error, Stopped) else signal.SIGINT
        if signum in before:
            signal.signal(signum, stop)
        again = threading.Timer(_AGAIN, os.kill, (os.getpid(), signum))
        again.daemon = True
        again.start()

    heard = [s for s in signums or (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, stop) for signum in heard}
    report, sys.unraisablehook = sys.unraisablehook, dropped
    try:
        yield
    finally:
        sys.unraisablehook = report
        for signum, handler in before.items():
            signal.signal(signum, handler)


class HeldSignals:
    """The signals that `held_signals` keeps from their handlers."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._waiting: int | None = None
        self._heard = 0.0

    @property
    def waiting(self) -> bool:
        """Whether one has come."""
        return self._waiting is not None

    def deliver(self) -> None:
        """Give the handlers their signals back, and the one that waits to its handler, which may raise."""
        while self._handlers:
            signal.signal(*self._handlers.popitem())
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            signal.raise_signal(waiting)

    def hold(self) -> None:
        """Keep signals from now on; where one is ignored, as SIGHUP is under nohup, it stays so."""
        for signum in STOPPING:
            handler = signal.getsignal(signum)
            if handler not in (signal.SIG_IGN, None):  # None: it was not set from Python
                self._handlers[signum] = signal.signal(signum, self._hear)

    def _hear(self, signum: int, _frame: object) -> None:
        now = time.monotonic()
        if signum == signal.SIGTERM == self._waiting and now - self._heard < _ONE:
            return
        impatient = self.waiting
        self._waiting, self._heard = signum, now
        if impatient:
            self.deliver()


@contextlib.contextmanager
def held_signals() -> Iterator[HeldSignals]:
    """Hold SIGTERM, SIGINT and SIGHUP back in this block, up to a call of `deliver` or its end.

    A signal then does what it would have done at once: usually its handler raises Stopped or
    KeyboardInterrupt. So does a second one, without waiting; two SIGTERMs within a second are one, of a
    scheduler that tells all processes, and of the process that passes it on. Only Python's main thread gets
    signals: in another this does nothing.
    """
    held = HeldSignals()
    if threading.current_thread() is threading.main_thread():
        held.hold()
    try:
        yield held
    finally:
        held.deliver()
