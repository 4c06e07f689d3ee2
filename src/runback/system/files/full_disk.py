"""Recognizes a full disk, by whatever name a library reports it."""

import errno
import shutil
from pathlib import Path

from runback.errors import DiskFull, InputError
from runback.system.text.excerpt import said

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

SAYINGS = ("No space left on device", "Disk quota exceeded", "database or disk is full")
"""Texts of errors without a number: those of HDF5, and of SQLite behind SQLAlchemy and MLflow."""

IO_ERROR = "disk I/O error"
"""SQLite's text where its shared memory does not fit on the disk any more, and for broken disks."""

COPIES = 4
"""Times that a run writes its network: as two artifacts and a logged model, and once on its way there."""

BESIDES = 4_000_000
"""Bytes of a run's other files, and of what its database needs for them."""

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


def refuse_full_disk(size: int, folder: Path) -> None:
    """Raise InputError where the disk of `folder` has no space for a network of so many bytes."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free, needed = shutil.disk_usage(there).free, COPIES * size + BESIDES
    if free < needed:
        raise InputError(
            f"no space for the network: it takes {size / 1e6:,.1f} MB, {COPIES} copies are written, and the "
            f"disk of {folder} has {free / 1e6:,.1f} MB free: free {(needed - free) / 1e6:,.1f} MB there"
        )
