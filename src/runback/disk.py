"""A full disk, by whatever name a library reports it."""

import errno

from runback.errors import DiskFull

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SAYINGS = ("No space left on device", "Disk quota exceeded", "database or disk is full")
"""What errors say that carry no number: those of HDF5, and of SQLite behind SQLAlchemy and MLflow."""


def is_full(error: BaseException) -> bool:
    """Return whether a full disk caused this error."""
    if isinstance(error, DiskFull) or (isinstance(error, OSError) and error.errno in NO_SPACE):
        return True
    text = str(error)
    return any(saying in text for saying in SAYINGS)
