"""Recognizes a full disk, by whatever name a library reports it."""

import errno
import shutil
from pathlib import Path

from runback.errors import DiskFull
from runback.system.text.excerpt import said

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SAYINGS = ("No space left on device", "Disk quota exceeded", "database or disk is full")
"""Texts of errors without a number: those of HDF5, and of SQLite behind SQLAlchemy and MLflow."""

IO_ERROR = "disk I/O error"
"""SQLite's text where its shared memory does not fit on the disk any more, and for broken disks."""

LEAST = 16_000_000
"""Bytes: where fewer are free, such an error is taken for that of a full disk."""


def is_full(error: BaseException | str, folder: Path | None = None) -> bool:
    """Return whether this error, or text of an error, tells of a full disk, on which `folder` lies."""
    if isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in NO_SPACE):
        return True
    text = said(error) if isinstance(error, BaseException) else error
    if IO_ERROR in text and folder is not None and folder.exists():
        return shutil.disk_usage(folder).free < LEAST
    return any(saying in text for saying in SAYINGS)
