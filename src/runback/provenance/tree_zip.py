"""Files of a source tree in a zip: their bytes, whether they can be executed, and symbolic links."""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runback.errors import InputError

PLAIN, EXECUTABLE, LINK = 0o100644, 0o100755, 0o120000
"""The modes that git tells apart."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file, the first that a zip can hold: the same files make the same zip."""

MAX_BYTES = 2**30
"""How much a zip may unpack to."""

FROM_UNIX = 3


@dataclass(frozen=True)
class TreeFile:
    """A file at `path` (relative, with `/`). A link's `content` is where it points, as in git."""

    path: str
    content: bytes
    mode: int = PLAIN


def pack_tree(files: Iterable[TreeFile]) -> bytes:
    """Return a zip of the files, sorted by path: the same bytes for the same files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(files, key=lambda file: file.path):
            entry = zipfile.ZipInfo(file.path, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = FROM_UNIX
            entry.external_attr = (file.mode | (0o777 if file.mode == LINK else 0)) << 16
            archive.writestr(entry, file.content)
    return target.getvalue()


def unpack_tree(content: bytes, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write the files of a zip (from `pack_tree` or `git archive`) below `folder`, over no existing file.

    Nothing is written for a zip with an unsafe name, a link that leaves the folder, or more than `max_bytes`
    stated. Raises InputError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = _files(archive, max_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"the zip of the code cannot be read: {error}") from error
    for file in files:
        try:
            _write(folder, file)
        except OSError as error:
            raise InputError(f"cannot unpack {file.path!r}: {error.strerror or error}") from error


def leaves_tree(path: str, target: str) -> bool:
    """Say whether a link at `path` that points to `target` is absolute or may lead out of the tree.

    `..` is followed only at the start of `target`: behind another link it could lead anywhere.
    """
    parts = PurePosixPath(target).parts
    ups = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    depth = len(PurePosixPath(path).parts) - 1
    return target.startswith("/") or ups > depth or ".." in parts[ups:] or _is_private(parts)


def _files(archive: zipfile.ZipFile, max_bytes: int) -> list[TreeFile]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    stated = sum(entry.file_size for entry in entries)
    if stated > max_bytes:
        raise InputError(f"the zip of the code unpacks to {stated:,} bytes; expected at most {max_bytes:,}")
    return [_file(archive, entry) for entry in entries]


def _file(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> TreeFile:
    parts = entry.filename.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in entry.orig_filename or _is_private(parts):
        raise InputError(f"the zip of the code holds an unsafe name: {entry.orig_filename!r}")
    with archive.open(entry) as stream:
        content = stream.read(entry.file_size)  # a bomb is not unpacked beyond that
    if len(content) != entry.file_size:
        raise InputError(f"{entry.filename!r} in the zip of the code is not of its stated size")
    mode = entry.external_attr >> 16 if entry.create_system == FROM_UNIX else 0
    if stat.S_ISLNK(mode):
        target = content.decode("utf-8", "surrogateescape")
        if not target or "\0" in target or leaves_tree(entry.filename, target):
            raise InputError(f"{entry.filename!r} in the zip of the code links out of it: {target!r}")
        return TreeFile(entry.filename, content, LINK)
    return TreeFile(entry.filename, content, EXECUTABLE if mode & stat.S_IXUSR else PLAIN)


def _write(folder: Path, file: TreeFile) -> None:
    path = folder / file.path
    for above in path.relative_to(folder).parents:
        if (folder / above).is_symlink():
            raise InputError(f"cannot unpack {file.path!r}: {str(above)!r} is a link")
    path.parent.mkdir(parents=True, exist_ok=True)
    if file.mode == LINK:
        path.symlink_to(file.content.decode("utf-8", "surrogateescape"))
        return
    with path.open("xb") as stream:
        stream.write(file.content)
    if file.mode == EXECUTABLE:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it


def _is_private(parts: Iterable[str]) -> bool:
    """Say whether a path leads into git's own folder, in any spelling that a filesystem may accept."""
    return any(part.lower() == ".git" for part in parts)
