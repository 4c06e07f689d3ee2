"""The output of a trial, in a file of its folder: bounded, and without secrets.

Python's streams leave secrets out line by line. What goes past them (C++ code, programs that a trial starts)
is looked through when the trial's process is gone. A file keeps its beginning and its end.
"""

import contextlib
import io
import os
import re
import stat
import sys
import threading
from pathlib import Path
from typing import Any

from runback.system.files.full_disk import is_full
from runback.system.files.regular_file import APPEND, open_regular
from runback.system.files.whole_file import whole_file
from runback.system.secrecy import redacted, without_values
from runback.system.text.redacted_output import WholeLines

OUTPUT = "output.log"
"""The file in a trial's folder with the output of its processes, one after the other."""

HEAD = TAIL = 1 << 20
"""Bytes that stay of a file's beginning, and of its end."""

ROOM = 4 * (HEAD + TAIL)
"""Bytes from which on a file is shortened while its trial still prints."""

EDGE = 1 << 12
"""Bytes at a cut that are left out where no line ends: a part of a secret may be in them."""

WORD = 125
"""Bytes that stay of either end of what is no text: to look for secrets in it would take very long."""

_LONG_WORD = re.compile(rb"[^\s]{%d,}" % (4 * WORD))


def redirect(log: Path) -> None:
    """Let all that this process prints from now on go to the end of a file; nowhere on a full disk."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_regular(log, APPEND)
    except OSError as error:
        if not is_full(error):
            raise
        descriptor = os.open(os.devnull, os.O_WRONLY)
    _print_to(descriptor)


def discard() -> None:
    """Let all that this process prints from now on go nowhere."""
    _print_to(os.open(os.devnull, os.O_WRONLY))


def _print_to(descriptor: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # what they led to before may be gone
            stream.flush()
    # At the level of file descriptors: TensorFlow's C++ writes past sys.stderr.
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = _stream(1), _stream(2)


def shorten_all(folder: Path) -> bool:
    """Shorten what a trial that goes on has printed and logged; return whether what it printed was."""
    for log in _logs(folder):
        shorten(log)
    return shorten(folder / OUTPUT)


def tidy_all(folder: Path) -> None:
    """Tidy what a trial has printed, and what it has logged beside it, as Hydra does."""
    for log in (folder / OUTPUT, *_logs(folder)):
        tidy(log)


def _logs(folder: Path) -> list[Path]:
    return [log for log in folder.glob("*.log") if log.name != OUTPUT]


def shorten(log: Path) -> bool:
    """Shorten the file of a trial that goes on printing, where it is far too long; return whether it was.

    What it prints at this very moment may be lost.
    """
    if _size(log) <= ROOM:
        return False
    with contextlib.suppress(OSError), log.open("r+b") as file:
        content = _bounded(file)
        file.seek(0)
        file.write(content)
        file.truncate()
    return True


def tidy(log: Path) -> None:
    """Shorten the file of a trial whose process is gone, and leave secrets out that it still holds."""
    if not _size(log):
        return
    with contextlib.suppress(OSError):
        with log.open("rb") as file:
            content = _bounded(file)
        clean = _clean(content)
        if clean != content or _size(log) > len(content):
            _replace(log, clean)


def _replace(log: Path, content: bytes) -> None:
    with whole_file(log) as file:
        file.write(content)
        os.fchmod(file.fileno(), stat.S_IMODE(log.stat().st_mode))


def _size(log: Path) -> int:
    """Return a file's size; 0 for what is no regular file."""
    try:
        status = log.lstat()
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _bounded(file: Any) -> bytes:
    """Return the beginning and the end of a file, and a line that says how much lies between."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= HEAD + TAIL:
        return bytes(file.read())
    head = file.read(HEAD)
    file.seek(size - TAIL)
    return _joined(head, file.read(TAIL), size)


def _joined(head: bytes, tail: bytes, size: int) -> bytes:
    """Join both ends, at the ends of lines where there are any; else without what may be cut through."""
    head = head[: head.rfind(b"\n") + 1] or head[:-EDGE]
    tail = tail[tail.find(b"\n") + 1 :] or tail[EDGE:]
    left_out = size - len(head) - len(tail)
    return b"%b\n... %d bytes left out ...\n%b" % (head, left_out, tail)


def _clean(content: bytes) -> bytes:
    clean = without_values(content.decode(errors="surrogateescape")).encode(errors="surrogateescape")
    text = _LONG_WORD.sub(_cut, clean).decode(errors="surrogateescape")
    return redacted(text).encode(errors="surrogateescape")


def _cut(word: re.Match[bytes]) -> bytes:
    return b"%b...%b" % (word[0][:WORD], word[0][-WORD:])


def _stream(descriptor: int) -> io.TextIOWrapper:
    clean = _Clean(descriptor)
    os.register_at_fork(after_in_child=clean.renew)
    return io.TextIOWrapper(
        clean, encoding="utf-8", errors="backslashreplace", line_buffering=True, write_through=True
    )


def close_streams() -> None:
    """Write all that stdout and stderr hold back, before this process ends at once."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        clean = getattr(stream, "buffer", None)
        if isinstance(clean, _Clean):
            clean.close_lines()


class _Clean(io.RawIOBase):
    """Writes lines to a descriptor, without secrets, and at once; of very much, its beginning and its end.

    What a full disk does not take is counted, and said when it takes something again: it ends no training.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = 0
        self.renew()

    def renew(self) -> None:
        """Begin anew in a process that was forked while another thread wrote."""
        self._lines = WholeLines()
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return f"<descriptor {self._descriptor}>"

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def write(self, data: Any) -> int:
        new = bytes(data)
        with self._lock:
            self._put(self._lines.add(new.decode(errors="surrogateescape")))
        return len(new)

    def flush(self) -> None:
        with self._lock:
            self._put(self._lines.take())

    def close_lines(self) -> None:
        """Write all that is held back: nothing follows."""
        with self._lock:
            self._put(self._lines.take_all())

    def _put(self, text: str) -> None:
        content = text.encode(errors="surrogateescape")
        size = len(content)
        if size > HEAD + TAIL:
            content = _joined(content[:HEAD], content[-TAIL:], size)
        self._write(_clean(content))

    def _write(self, clean: bytes) -> None:
        said = b"... %d bytes could not be written ...\n" % self._lost if self._lost else b""
        rest = memoryview(said + clean)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            self._lost = 0
        except OSError:
            self._lost += min(len(rest), len(clean))
