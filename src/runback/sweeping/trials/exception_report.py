"""The report on an exception that ended a trial: its kind, one line, and its traceback, all bounded."""

import contextlib
import signal
import traceback
from collections.abc import Iterator

from runback.errors import DataError, DiskFull, Diverged, InputError, RunbackError, StoreError
from runback.sweeping.trials.messages import Failed
from runback.sweeping.trials.out_of_memory import is_out_of_memory
from runback.system.files.full_disk import is_full
from runback.system.secrecy import redacted, redacted_excerpt, without_values
from runback.system.text.escape import for_terminal
from runback.system.text.excerpt import SAID, said

REASON = 500
"""Characters of a reason."""

INPUT_REASON = 2000
"""Characters of one that lists what would have been accepted."""

TRACEBACK = 16_000
"""Characters of a traceback, so few that the pipe takes all of them at once."""

PATIENCE = 1.0
"""Seconds that an exception's own code gets each time it is called for its text."""


def failed(error: BaseException) -> Failed:
    """Describe the failure of a trial that this exception ended, whatever the exception's own code does."""
    with _impatient():
        kind, text = _kind(error), said(error)
        if isinstance(error, InputError | DiskFull):
            return Failed(kind, one_line(" ".join(text.splitlines()), INPUT_REASON))
        if isinstance(error, RunbackError):  # the kind stands in front, and says what the class would
            return Failed(kind, one_line(text.strip().removeprefix(f"{kind}: ")), _traceback(error))
        return Failed(kind, one_line(f"{type(error).__name__}: {text.strip()}"), _traceback(error))


def one_line(text: str, limit: int = REASON) -> str:
    """Return the first line of a text, fit for terminals and for the study."""
    line = (without_values(text)[:SAID].strip().splitlines() or [""])[0]
    line = for_terminal(redacted(line)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _kind(error: BaseException) -> str:
    if is_out_of_memory(error):
        return "out_of_memory"
    if isinstance(error, StoreError) or is_full(error):
        return "store"
    kinds = {Diverged: "diverged", DataError: "data", InputError: "input"}
    return next((kind for cause, kind in kinds.items() if isinstance(error, cause)), "code")


def _traceback(error: BaseException) -> str:
    try:
        return redacted_excerpt("".join(traceback.format_exception(error)), TRACEBACK)
    except Exception as broken:
        return f"(its traceback cannot be had: {type(broken).__name__})"


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Interrupt an exception's own code whenever it takes too long."""

    def interrupt(_signum: int, _frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
