"""Files that git neither tracks nor ignores: code of the run as much as a commit's."""

import os
import stat
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runback.provenance.code.tree_zip import EXECUTABLE, LINK, PLAIN, TreeFile, leaves_tree
from runback.system.secrecy import secret_file
from runback.system.secrecy.secret_files import secret_content

LISTED = 100
"""Files left out that are named one by one; more are told by folder."""

SECRET = "its name is one that secrets are kept under"  # noqa: S105 - says why a file is left out


@dataclass(frozen=True)
class LeftOut:
    """A file, or a folder with a `/` at its end, that a record lacks, and why; `bytes` is its size."""

    path: str
    bytes: int
    reason: str


def read_untracked(
    top: Path, names: Sequence[str], limit: int
) -> tuple[tuple[TreeFile, ...], tuple[LeftOut, ...]]:
    """Return the named files below `top`, and those left out; both sorted by path.

    At most `limit` bytes are read in all, the smallest files first: code is small, what is large is data.
    """
    found, out, room = [], [], limit
    for size, name in sorted((_size(top / name), name) for name in names):
        file = _read(top, name, size, room, limit)
        if isinstance(file, TreeFile):
            found.append(file)
            room -= len(file.content)
        else:
            out.append(file)
    return tuple(sorted(found, key=lambda f: f.path)), _shortened(sorted(out, key=lambda o: o.path))


def left_out_secret(top: Path, name: str, reason: str = SECRET) -> LeftOut:
    """Return what is said about a file that is left out for its name, or for what is in it."""
    return LeftOut(name, _size(top / name), reason)


def _read(top: Path, name: str, size: int, room: int, limit: int) -> TreeFile | LeftOut:
    if any("\ud800" <= character <= "\udfff" for character in name):
        # Neither JSON nor a zip can hold a name of other bytes.
        printable = os.fsencode(name).decode("utf-8", "backslashreplace")
        return LeftOut(printable, size, "its name is not UTF-8")
    if name.endswith("/"):
        return LeftOut(name, 0, "a git repository of its own")
    if secret_file(name):
        return left_out_secret(top, name)
    try:
        mode = (top / name).lstat().st_mode
        if stat.S_ISLNK(mode):
            return _link(top, name)
        if not stat.S_ISREG(mode):
            return LeftOut(name, size, "neither a file nor a link")
        with (top / name).open("rb") as stream:
            content = stream.read(room + 1)
    except OSError as error:
        return LeftOut(name, size, f"it cannot be read: {error.strerror}")
    if len(content) > room:
        return LeftOut(name, max(size, len(content)), f"over the limit of {limit / 2**20:g} MiB in all")
    found = secret_content(content, name)
    if found is not None:
        return LeftOut(name, size, found)
    return TreeFile(name, content, EXECUTABLE if mode & stat.S_IXUSR else PLAIN)


def _link(top: Path, name: str) -> TreeFile | LeftOut:
    target = os.readlink(top / name)  # noqa: PTH115 - a Path would tidy what the link says
    content = os.fsencode(target)
    if leaves_tree(name, target):
        return LeftOut(name, len(content), f"a link out of the repository, to {target!a}")
    return TreeFile(name, content, LINK)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _shortened(out: list[LeftOut]) -> tuple[LeftOut, ...]:
    """Put files of one folder that are left out for one reason together where there are very many."""
    if len(out) <= LISTED:
        return tuple(out)
    groups: dict[tuple[str, str], list[LeftOut]] = defaultdict(list)
    for one in out:
        groups[f"{PurePosixPath(one.path).parent}/", one.reason].append(one)
    return tuple(
        LeftOut(folder, sum(one.bytes for one in group), f"{len(group):,} files: {reason}")
        for (folder, reason), group in groups.items()
    )
