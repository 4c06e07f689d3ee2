"""Makes a signal that asks the process to stop wait until the training can be stopped well."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A system that shuts down or a scheduler whose time is up; Ctrl-C; a terminal that was closed."""


class HeldSignals:
    """The signals that `held_signals` keeps from their handlers."""

    def __init__(self) -> None:
        self._handlers: dict[int, Any] = {}
        self._waiting: int | None = None

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
        impatient = self.waiting
        self._waiting = signum
        if impatient:
            self.deliver()


@contextlib.contextmanager
def held_signals() -> Iterator[HeldSignals]:
    """Hold SIGTERM, SIGINT and SIGHUP back in this block, up to a call of `deliver` or its end.

    A signal then does what it would have done at once: usually its handler raises Stopped or
    KeyboardInterrupt. So does a second one, without waiting. Only Python's main thread gets signals: in
    another this does nothing.
    """
    held = HeldSignals()
    if threading.current_thread() is threading.main_thread():
        held.hold()
    try:
        yield held
    finally:
        held.deliver()
