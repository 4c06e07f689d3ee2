"""Prints, logs and warns on a terminal: text of others is shown there, and never obeyed."""

import json
import logging
import sys
import traceback
import warnings
from types import TracebackType
from typing import Any, TextIO

from runback.system.secrecy import redacted_excerpt
from runback.system.text.escape import for_terminal, lines_for_terminal

LONGEST = 100_000
"""Characters of what is logged at once."""

_format_warning = warnings.formatwarning


def say(*lines: str, stream: TextIO | None = None) -> None:
    """Print lines to stdout, or to `stream`, at once."""
    out = stream or sys.stdout
    out.write("".join(f"{for_terminal(line)}\n" for line in lines))
    out.flush()


def say_json(content: Any) -> None:
    """Print a result to stdout, at once, as JSON on several lines."""
    say(*json.dumps(content, indent=2).split("\n"))


def guard() -> None:
    """Let logging, warnings and the traceback at a process's end go through the same door."""
    logging.setLogRecordFactory(_Record)
    warnings.formatwarning = _warning
    sys.excepthook = _last_words


class _Record(logging.LogRecord):
    """A log record, of this package or another: bounded, on lines of its own, and without secrets."""

    def __init__(self, *facts: Any, **more: Any) -> None:
        super().__init__(*facts, **more)
        if isinstance(self.exc_info, tuple):
            trace = "".join(traceback.format_exception(*self.exc_info))
            self.exc_text = lines_for_terminal(redacted_excerpt(trace.rstrip("\n"), LONGEST))
        if self.stack_info:
            self.stack_info = lines_for_terminal(redacted_excerpt(self.stack_info, LONGEST))

    def getMessage(self) -> str:  # noqa: N802 - logging's name for it
        """Return the message: of our own always one line, others may log several."""
        is_ours = self.name.partition(".")[0] == "runback"
        message = redacted_excerpt(super().getMessage(), LONGEST)
        return (for_terminal if is_ours else lines_for_terminal)(message)


def _warning(message: Warning | str, *where: Any, **more: Any) -> str:
    return lines_for_terminal(_format_warning(message, *where, **more))


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(lines_for_terminal("".join(traceback.format_exception(kind, error, trace))))
