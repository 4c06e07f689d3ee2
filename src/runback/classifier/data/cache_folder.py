"""The folder of the data cache: one process at a time prepares an entry, and a killed one leaves none."""

import logging
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runback.errors import DataError
from runback.system.files.file_lock import FOR_GOOD, open_lock, take
from runback.system.files.full_disk import is_full

logger = logging.getLogger(__name__)


@contextmanager
def alone(cache: Path, name: str) -> Iterator[None]:
    """Keep other processes out of the same `name` in this folder until the block ends.

    The lock goes with its process: a killed one leaves none, and what it left half-written is removed
    here. On a filesystem without locks the work may be done twice, never wrongly.
    """
    with _writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        lock = open_lock(cache / f".{name}.lock")
    with lock:
        try:
            try:
                take(lock)
            except BlockingIOError:
                logger.info("waiting for another process that prepares %s", name)
                take(lock, FOR_GOOD)
        except OSError:
            logger.debug("%s: this filesystem has no locks", cache)
        else:
            for left in cache.glob(f".{name}.*.partial"):
                shutil.rmtree(left, ignore_errors=True)
        yield


@contextmanager
def partial(cache: Path, name: str) -> Iterator[Path]:
    """Give a folder to write in, and remove it at the end with all that was not published from it.

    What goes wrong while writing (disk full, not allowed) becomes a DataError.
    """
    with _writing(cache):
        folder = cache / f".{name}.{uuid.uuid4().hex}.partial"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_space(folder: Path, needed: int) -> None:
    """Raise DataError unless the disk that holds `folder` has `needed` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"no disk space for the decoded images in {folder}: "
            f"{_megabytes(needed)} needed, {_megabytes(free)} free"
        )


@contextmanager
def _writing(cache: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise DataError(f"no disk space left for the data cache {cache}: {error.strerror}") from error
        raise DataError(f"cannot write the data cache {cache}: {error.strerror or error}") from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
