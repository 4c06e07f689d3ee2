"""Lets work outlast its output: a terminal, pipe or file that is gone, full or lacks letters ends nothing."""

import contextlib
import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from runback.system.text.escape import for_terminal

PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.EINTR, errno.ENOBUFS}
"""Errors after which a later write may succeed."""

UNREAD = os.strerror(errno.EPIPE)
"""The trouble of a pipe whose reader has seen enough."""


class LastingStream:
    """A text stream that writes to another one as long as that takes it; else it is that other one.

    What cannot be written is dropped. Letters that the other's encoding lacks are spelled out.
    """

    outlasts = True

    def __init__(self, stream: TextIO | None, name: str) -> None:
        """`stream` is None where its descriptor was closed before Python began."""
        self.trouble: str | None = None
        """Why something that was written is not there; None: all is."""
        self.told_on: LastingStream | None = None
        """The stream on which trouble is told; None: it is told nowhere."""
        self.is_work = True
        """Whether more is done than to print: else it is no trouble that a reader has seen enough."""
        self._stream = open(os.devnull, "w") if stream is None else stream  # noqa: SIM115, PTH123
        self._is_closed = stream is None
        self._is_gone = False
        self._name = name
        self._told: set[str] = set()
        self._untold: list[str] = []
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Tell whether it is a terminal that is still there."""
        with contextlib.suppress(OSError, ValueError):
            return not self._is_gone and self._stream.isatty()
        return False

    def write(self, text: str) -> int:
        """Write text, as far as the stream takes it."""
        self._try(lambda: self._stream.write(self._spelled(text)))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write lines that have their ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is held back."""
        self._try(self._stream.flush)

    def close(self) -> None:
        """Flush: a library that closes what it logs to would end all output of the process."""
        self.flush()

    def let_go(self) -> None:
        """Write what is held back, or drop it: Python tries that again at its end, and would complain."""
        if not self._is_closed:
            self.flush()
        if self.trouble is not None:
            self._discard()
        self.told_on = None

    def _try(self, action: Callable[[], object]) -> None:
        """Do it if that can be done, and tell of trouble then.

        The lock is free by then: another thread may hold the other stream's, and wait to tell of it here.
        """
        with self._lock:
            self._attempt(action)
            untold, self._untold = self._untold, []
        if untold and (told_on := self.told_on) is not None:
            told_on.writelines(untold)
            told_on.flush()

    def _attempt(self, action: Callable[[], object]) -> None:
        if self._is_gone:
            return
        if self._is_closed:
            self._fail(OSError(errno.EBADF, "it is closed"))
            return
        try:
            action()
        except (OSError, ValueError) as error:
            self._fail(error)

    def _spelled(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None)
        if text.isascii() or not encoding:
            return text
        try:
            text.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            self._tell(
                f"{self._name} takes {encoding} only: other letters are spelled out, as \\xe9 for e acute"
            )
            return text.encode("ascii", "backslashreplace").decode()
        return text

    def _fail(self, error: Exception) -> None:
        number = error.errno if isinstance(error, OSError) else None
        self.trouble = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if number not in PASSING:
            self._is_gone = True
            self._discard()
        if self.is_work or number != errno.EPIPE:
            goes_on = "; the work goes on without it" if self.is_work else ""
            self._tell(f"{self._name} takes no more ({self.trouble}){goes_on}")

    def _discard(self) -> None:
        """Let what is held back, and all that libraries write past this stream, go nowhere."""
        with contextlib.suppress(OSError, ValueError):
            descriptor = self._stream.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def _tell(self, line: str) -> None:
        """Let a line be told, once the lock is free; the same one once."""
        if line not in self._told:
            self._told.add(line)
            self._untold.append(f"runback: {for_terminal(line)}\n")


@contextlib.contextmanager
def lasting_output(*, is_work: bool = True, is_result: bool = False) -> Iterator[None]:
    """Let stdout and stderr outlast whatever they lead to, in this block; a second one in it changes nothing.

    What becomes of either is told once, on the other one. `is_work` says that more is done than to print:
    else a reader of stdout that has seen enough is nothing to tell. Where stdout holds a result, as a program
    reads it (`is_result`), nothing is told there.
    """
    if getattr(sys.stdout, "outlasts", False):
        yield
        return
    _open_closed()
    before = sys.stdout, sys.stderr
    out, err = LastingStream(before[0], "stdout"), LastingStream(before[1], "stderr")
    out.told_on, out.is_work = err, is_work
    err.told_on = None if is_result else out
    sys.stdout, sys.stderr = out, err  # type: ignore[assignment]
    _log_to({id(before[0]): out, id(before[1]): err})
    try:
        yield
    finally:
        out.let_go()
        err.let_go()
        sys.stdout, sys.stderr = before
        _log_to({id(out): before[0], id(err): before[1]})


def output_troubles() -> list[str]:
    """Return what of this process's output could not be written, and why, a line a stream."""
    streams = {"stdout": sys.stdout, "stderr": sys.stderr}
    troubles = {name: getattr(stream, "trouble", None) for name, stream in streams.items()}
    return [f"{name} took no more: {trouble}" for name, trouble in troubles.items() if trouble is not None]


def _log_to(streams: Mapping[int, Any]) -> None:
    """Let the handlers that have been set up, as Hydra does, log to other streams, by the old ones' `id`."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and id(handler.stream) in streams:
            handler.setStream(streams[id(handler.stream)])


def _open_closed() -> None:
    """Open what is closed of the first three descriptors: a file that got one would be printed into."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
