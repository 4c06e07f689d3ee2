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


class RedactedStream:
    """A text stream that writes line by line, without secrets, to another; else it is that other one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write the lines that are whole; hold back the rest until it is, or until the stream is flushed."""
        self._held += text
        end = max(self._held.rfind("\n"), self._held.rfind("\r")) + 1
        if len(self._held) > LONGEST:
            end = len(self._held)
        elif "PRIVATE KEY" in self._held and (begun := _UNFINISHED.search(self._held)) is not None:
            end = min(end, begun.start())
        if end:
            self._stream.write(redacted(self._held[:end]))
            self._held = self._held[end:]
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write lines that have their ends."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is held back too, but a private key whose end is missing."""
        if self._held and _UNFINISHED.search(self._held) is None:
            self._stream.write(redacted(self._held))
            self._held = ""
        self._stream.flush()

    def close_lines(self) -> None:
        """Write all that is held back."""
        held, self._held = self._held, ""
        self._stream.write(redacted(held))
        self._stream.flush()


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
