"""Keeps a folder to one process at a time."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from runback.errors import InputError, StoreError

LOCK = ".lock"
"""In the folder: the locked file, with the process that holds it."""


@contextlib.contextmanager
def alone_in(folder: Path, what: str, patience: float = 0.0) -> Iterator[None]:
    """Hold `folder`, which is created if need be, until the body or this process ends, however it ends.

    Raises InputError when another process still holds it after `patience` seconds (`what` opens the message:
    "sweep quickstart"), StoreError when it cannot be written to, or knows no locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+b", buffering=0)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}") from error
    with lock:
        try:
            _take(lock, patience)
        except BlockingIOError:
            raise InputError(f"{what} is already running{_holder(lock)}") from None
        except OSError as error:
            raise StoreError(f"cannot lock {folder}: {error.strerror}") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            _sign(lock)
        yield


def _take(lock: FileIO, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.05)


def _sign(lock: FileIO) -> None:
    lock.truncate(0)
    lock.write(b"%d\n" % os.getpid())


def _holder(lock: FileIO) -> str:
    lock.seek(0)
    process = lock.read().decode().strip()
    return f" (process {process})" if process else ""
