"""Locks on files: each goes with the process that holds it, however that ends."""

import fcntl
import math
import time
from io import FileIO
from pathlib import Path

from runback.system.files.regular_file import APPEND, open_regular, reading

PAUSE = 0.05
"""Seconds between two tries to take a lock."""

FOR_GOOD = math.inf
"""The patience of a process that waits until the lock is free."""


def open_lock(file: Path) -> FileIO:
    """Return a file to lock, created if need be; closing it releases its lock. Raises OSError."""
    return FileIO(open_regular(file, APPEND), "a+")


def take(lock: FileIO, patience: float = 0.0) -> None:
    """Lock an open file.

    Raises BlockingIOError when another process still holds it after `patience` seconds, OSError where the
    filesystem knows no locks.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE)


def is_locked(file: Path) -> bool:
    """Return whether a living process holds the lock on this file. Creates and changes nothing."""
    try:
        with reading(file) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it is not there, or knows no locks
        return False
    return False
