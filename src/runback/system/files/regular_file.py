"""Opens files where somebody else may have put something: ordinary ones only, no links, pipes or devices.

A pipe would keep its reader waiting for good, a link lead to a file elsewhere.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

READ = os.O_RDONLY
APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND
WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def open_regular(file: Path, flags: int = READ) -> int:
    """Return a descriptor of an ordinary file, without waiting. Raises OSError for anything else."""
    descriptor = os.open(file, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no ordinary file", str(file))
    return descriptor


def reading(file: Path) -> BinaryIO:
    """Return a stream of what is in an ordinary file. Raises OSError."""
    return os.fdopen(open_regular(file), "rb")


def read_regular(file: Path) -> bytes:
    """Return what is in an ordinary file. Raises OSError."""
    with reading(file) as stream:
        return stream.read()


def write_regular(file: Path, content: bytes) -> None:
    """Let an ordinary file, created if need be, hold `content`. Raises OSError."""
    with os.fdopen(open_regular(file, WRITE), "wb") as stream:
        stream.write(content)
