"""Keeps a folder to one process at a time."""

import contextlib
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from runback.errors import InputError, StoreError
from runback.system.files.file_lock import is_locked, open_lock, take

LOCK = ".lock"
"""The locked file in the folder, with the process that holds it."""


@contextlib.contextmanager
def alone_in(folder: Path, what: str, patience: float = 0.0) -> Iterator[None]:
    """Hold `folder`, which is created if need be, until the body or this process ends, however it ends.

    Raises InputError when another process still holds it after `patience` seconds (`what` opens the message:
    "sweep quickstart"), StoreError when it cannot be written to, or knows no locks.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open_lock(folder / LOCK)
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}") from error
    with lock:
        try:
            take(lock, patience)
        except BlockingIOError:
            raise InputError(f"{what} is already running{_holder(lock)}") from None
        except OSError as error:
            raise StoreError(f"cannot lock {folder}: {error.strerror}") from error
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
            _sign(lock)
        yield


def is_held(folder: Path, top: Path) -> bool:
    """Return whether a living process holds `folder`, one in it, or one around it below `top`, by `alone_in`.

    The process of a sweep holds the sweep's folder, each of its trials the folder in that.
    """
    around = (one / LOCK for one in _up_to(folder, top))
    return any(map(is_locked, around)) or any(map(is_locked, folder.rglob(LOCK)))


@contextlib.contextmanager
def alone_with(folder: Path, top: Path, what: str) -> Iterator[None]:
    """Hold `folder`, which exists, and each folder around it below `top` that has ever been held.

    Raises InputError when another process holds one of them, StoreError as `alone_in` does.
    """
    with contextlib.ExitStack() as held:
        for one in _up_to(folder, top):
            if one == folder or (one / LOCK).exists():
                held.enter_context(alone_in(one, what))
        yield


def _up_to(folder: Path, top: Path) -> list[Path]:
    return [one for one in (folder, *folder.parents) if one.is_relative_to(top) and one != top]


def _sign(lock: FileIO) -> None:
    lock.truncate(0)
    lock.write(b"%d\n" % os.getpid())


def _holder(lock: FileIO) -> str:
    lock.seek(0)
    process = lock.read().decode().strip()
    return f" (process {process})" if process else ""
