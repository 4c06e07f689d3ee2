"""Files and folders that appear whole or not at all, and stay when the machine loses its power."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 40
"""Characters of a file's name that the name of its unfinished one ends with; 255 bytes are allowed."""


@contextmanager
def whole_file(
    target: Path, *, permissions: int = 0o666, replace: bool = True, flush: bool = True
) -> Iterator[BinaryIO]:
    """Give a stream for a file that is at `target`, flushed to the disk, when the block ends well.

    Without `flush` a machine that loses its power may lose it.

    Until then it is beside its place, under a name of its own. Without `replace` a file that is at `target`
    already stays. Raises OSError; then nothing has changed.
    """
    partial = target.with_name(f".{os.urandom(4).hex()}.{target.name[-LONGEST_NAME:]}.partial")
    try:
        with open(partial, "x+b", opener=lambda path, flags: os.open(path, flags, permissions)) as stream:
            yield stream
            stream.flush()
            if flush:
                os.fsync(stream.fileno())
        if replace:
            partial.replace(target)
        else:
            with suppress(FileExistsError):
                os.link(partial, target)
        if flush:
            _flush(target.parent)
    finally:
        with suppress(OSError):  # the folder may be gone, or closed to us
            partial.unlink(missing_ok=True)


def write_whole(target: Path, content: bytes, *, flush: bool = True) -> None:
    """Let a file that appears whole hold `content`. Raises OSError; then nothing has changed."""
    with whole_file(target, flush=flush) as stream:
        stream.write(content)


def publish(source: Path, target: Path) -> None:
    """Flush a file, or a folder with all that is in it, to the disk and rename it to `target` in one step.

    Where another process has published a folder at `target` already, that one stays. Raises OSError.
    """
    for path in (source, *source.rglob("*")):  # of a file nothing more
        if not path.is_symlink() and (path.is_file() or path.is_dir()):
            _flush(path)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    _flush(target.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if path.is_file():  # some network filesystems cannot flush a folder
            raise
    finally:
        os.close(descriptor)
