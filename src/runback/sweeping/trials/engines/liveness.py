"""A process's life, followed by itself and not through whoever started it."""

import contextlib
import os
import select
import signal
import time

import psutil

_LOOK = 0.02
"""Seconds from one look to the next where the system has nothing to wait for."""


class Life:
    """Follows one process to its end, and never another one that gets its number later.

    Linux has a file descriptor for that; elsewhere its number and its time of start identify the process.
    One that has ended is over even if nobody has waited for its exit code.
    """

    def __init__(self, pid: int) -> None:
        self.descriptor: int | None = None
        """What is ready to be read when the process has ended; None where there is no such thing."""
        self._process: psutil.Process | None = None
        try:
            self.descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            pass  # it is over
        except (AttributeError, OSError):  # not Linux; an old kernel; no descriptor left
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(pid)

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        if self.descriptor is not None:
            return _is_ready(self.descriptor, 0)
        if self._process is None:
            return True
        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def wait(self, seconds: float) -> bool:
        """Wait for the end, for so long at most; return whether it has come."""
        if self.descriptor is not None:
            return _is_ready(self.descriptor, seconds)
        deadline = time.monotonic() + seconds
        while not self.is_over and time.monotonic() < deadline:
            time.sleep(_LOOK)
        return self.is_over

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal, if the process still lives."""
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if self.descriptor is not None:
                signal.pidfd_send_signal(self.descriptor, signum)
            elif self._process is not None:
                self._process.send_signal(signum)

    def close(self) -> None:
        """Follow it no longer; from here on it counts as over."""
        descriptor, self.descriptor, self._process = self.descriptor, None, None
        if descriptor is not None:
            os.close(descriptor)


def _is_ready(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
