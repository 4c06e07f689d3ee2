"""Outlasts a database that is away: a server that is started again, a network that is down for a while."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from runback.system.secrecy import redacted

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries: the first, and the last, which is reached by doubling."""

REFUSALS = (
    *("authentication failed", "authentication method requirement", "no password supplied"),
    *("does not exist", "permission denied"),
)
"""What a server says that will say it again."""

_logger = logging.getLogger(__name__)


class LockLost(Exception):  # noqa: N818 - what has happened
    """The connection that held the study's lock is gone, and so is the lock: nothing more may be written."""


def is_away(error: BaseException) -> bool:
    """Tell whether an error is the database's being away, or busy, which it may not be later."""
    import psycopg

    if any(text in str(error.__cause__ or error) for text in REFUSALS):
        return False
    for one in (error, error.__cause__):
        if isinstance(one, LockLost | psycopg.OperationalError | psycopg.InterfaceError):
            return True
        if isinstance(one, OperationalError | InterfaceError):
            return True
        if isinstance(one, DBAPIError) and one.connection_invalidated:
            return True
    return False


def reason(error: BaseException) -> str:
    """Return the first line of what the database says, without secrets."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    cause = getattr(cause, "orig", None) or cause
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return redacted(lines[0] if lines else type(cause).__name__)[:300]


def outlast(
    call: Callable[[], T], patience: Callable[[], float], wait: Callable[[float], Any] = time.sleep
) -> T:
    """Return what `call` returns, trying again while the database is away, for `patience()` seconds.

    These are asked for before each try: a signal may have ended them. `wait` waits between two tries.
    """
    began, pause = None, FIRST_PAUSE
    while True:
        try:
            return call()
        except Exception as error:
            if not is_away(error):
                raise
            now = time.monotonic()
            if began is None:
                began = now
                if patience():
                    _logger.warning("waiting for the study's database: %s", reason(error))
            if now >= began + patience():
                raise
        wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
