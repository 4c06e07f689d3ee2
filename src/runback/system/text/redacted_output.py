"""Keeps secrets off the screen, and out of whatever a command's output is sent to."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from runback.system.secrecy import redacted

LONGEST = 100_000
"""Characters of a private key, or of a line, that are held back until its end is there."""

_UNFINISHED = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?:(?!-----END).)*\Z", re.DOTALL)


class WholeLines:
    """Holds text back until its line, and a private key in it, is whole: parts would not be redacted."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, text: str) -> str:
        """Return what is whole now."""
        self._rest += text
        end = max(self._rest.rfind("\n"), self._rest.rfind("\r")) + 1
        key = _UNFINISHED.search(self._rest) if "PRIVATE KEY" in self._rest else None
        if key is not None:
            end = min(end, key.start())
        if len(self._rest) - end > LONGEST:
            end = len(self._rest)
        whole, self._rest = self._rest[:end], self._rest[end:]
        return whole

    def take(self) -> str:
        """Return a line without its end too; nothing while the end of a private key is missing."""
        return "" if _UNFINISHED.search(self._rest) else self.take_all()

    def take_all(self) -> str:
        """Return all that is held back."""
        rest, self._rest = self._rest, ""
        return rest


class RedactedStream:
    """A text stream that writes line by line, without secrets, to another; else it is that other one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines = WholeLines()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the lines that are whole; hold back the rest until it is, or until the stream is flushed."""
        self._put(self._lines.add(text))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write lines that have their ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is held back too, but a private key whose end is missing."""
        self._put(self._lines.take())
        self._stream.flush()

    def close_lines(self) -> None:
        """Write all that is held back."""
        self._put(self._lines.take_all())
        self._stream.flush()

    def _put(self, text: str) -> None:
        if text:
            self._stream.write(redacted(text))


@contextlib.contextmanager
def redacted_output() -> Iterator[None]:
    """Take the secrets out of what is written to stdout and stderr in this block."""
    before = sys.stdout, sys.stderr
    ours = RedactedStream(before[0]), RedactedStream(before[1])
    sys.stdout, sys.stderr = ours  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in ours:
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                stream.close_lines()
