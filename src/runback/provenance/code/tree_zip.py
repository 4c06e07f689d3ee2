"""Files of a source tree in a zip: their bytes, whether they can be executed, and symbolic links."""

import hashlib
import io
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runback.errors import InputError
from runback.system.files.bounded_zip import MAX_TREE_ENTRIES, opened, refuse_bomb

PLAIN, EXECUTABLE, LINK = 0o100644, 0o100755, 0o120000
"""The modes that git tells apart."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file, the first that a zip can hold: the same files make the same zip."""

MAX_BYTES = 2**30
"""Bytes that a zip may unpack to."""

RATIO = 20
"""The largest ratio of unpacked to packed size of a large zip; source code gives 3 to 6."""

CHUNK = 2**20
MAX_LINK = 4096
"""Bytes of where a link points, as many as Linux takes."""

FROM_UNIX = 3

PRIVATE = re.compile(r"\.git|git~\d+")
"""Git's own folder, also by the short name that Windows gives it."""


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


@dataclass(frozen=True)
class TreeEntry:
    """A file of a zip that was checked; a link's `target` is where it points."""

    path: str
    size: int
    mode: int
    target: str = ""


def unpack_tree(content: bytes, folder: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write the files of a zip (from `pack_tree` or `git archive`) below `folder`, over no existing file.

    Nothing is written for a zip with an unsafe name, a link that leaves the folder, or more than `max_bytes`
    stated. Raises InputError.
    """
    with _reading(content) as archive:
        for entry, info in _checked(archive, len(content), max_bytes):
            try:
                _write(folder, entry, archive, info)
            except OSError as error:
                raise InputError(f"cannot unpack {entry.path!r}: {error.strerror or error}") from error


def tree_entries(content: bytes, *, max_bytes: int = MAX_BYTES) -> list[TreeEntry]:
    """Return the files of a zip, all of them checked as `unpack_tree` does. Raises InputError."""
    with _reading(content) as archive:
        return [entry for entry, _ in _checked(archive, len(content), max_bytes)]


def read_tree(content: bytes, path: str, most: int) -> bytes | None:
    """Return one file of a zip, None where there is none of at most so many bytes. Raises InputError."""
    with _reading(content) as archive:
        found = [info for info in archive.infolist() if info.filename == path and info.file_size <= most]
        return b"".join(_pieces(archive, found[0])) if len(found) == 1 else None


def tree_files(content: bytes, *, max_bytes: int = MAX_BYTES) -> Iterator[tuple[TreeEntry, bytes]]:
    """Yield each file of a zip, checked as `unpack_tree` does, with its content. Raises InputError."""
    with _reading(content) as archive:
        for entry, info in _checked(archive, len(content), max_bytes):
            yield entry, b"".join(_pieces(archive, info))


def tree_sums(content: bytes, prefix: str) -> dict[str, str]:
    """Return the SHA-256 of each file of a zip whose path begins with `prefix`. Raises InputError."""
    with _reading(content) as archive:
        found = [
            info for info in archive.infolist() if info.filename.startswith(prefix) and not info.is_dir()
        ]
        return {info.filename: _sum(archive, info) for info in found}


def _sum(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(archive, info):
        digest.update(piece)
    return digest.hexdigest()


@contextmanager
def _reading(content: bytes) -> Iterator[zipfile.ZipFile]:
    try:
        with opened(content, entries=MAX_TREE_ENTRIES) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise InputError(f"the zip of the code cannot be read: {error}") from error


def leaves_tree(path: str, target: str) -> bool:
    """Say whether a link at `path` that points to `target` is absolute or may lead out of the tree.

    `..` is followed only at the start of `target`: behind another link it could lead anywhere.
    """
    parts = PurePosixPath(target).parts
    ups = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    depth = len(PurePosixPath(path).parts) - 1
    return target.startswith("/") or ups > depth or ".." in parts[ups:] or _is_private(parts)


def _checked(
    archive: zipfile.ZipFile, packed: int, max_bytes: int
) -> list[tuple[TreeEntry, zipfile.ZipInfo]]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    sizes = [info.file_size for info in infos]
    if sum(sizes) > max_bytes:
        raise InputError(
            f"the zip of the code unpacks to {sum(sizes):,} bytes; expected at most {max_bytes:,}"
        )
    refuse_bomb(sizes, packed, RATIO, "the zip of the code")
    return [(_entry(archive, info), info) for info in infos]


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> TreeEntry:
    """Return what a file is; all of it is read once, so that nothing is written of a damaged zip."""
    parts = info.filename.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\0" in info.orig_filename or _is_private(parts):
        raise InputError(f"the zip of the code holds an unsafe name: {info.orig_filename!r}")
    mode = info.external_attr >> 16 if info.create_system == FROM_UNIX else 0
    if stat.S_ISLNK(mode):
        target = _target(archive, info)
        if not target or "\0" in target or leaves_tree(info.filename, target):
            raise InputError(f"{info.filename!r} in the zip of the code links out of it: {target!r}")
        return TreeEntry(info.filename, info.file_size, LINK, target)
    for _ in _pieces(archive, info):
        pass
    return TreeEntry(info.filename, info.file_size, EXECUTABLE if mode & stat.S_IXUSR else PLAIN)


def _target(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    if info.file_size > MAX_LINK:
        raise InputError(
            f"{info.filename!r} in the zip of the code is no link: it has {info.file_size:,} bytes"
        )
    return b"".join(_pieces(archive, info)).decode("utf-8", "surrogateescape")


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a file's content, of a bomb not more than it states. Raises InputError where it has less."""
    left = info.file_size
    with archive.open(info) as stream:
        while left and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
        stream.read(1)  # at the end of the file its CRC is compared
    if left:
        raise InputError(f"{info.filename!r} in the zip of the code is not of its stated size")


def _write(folder: Path, entry: TreeEntry, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    path = folder / entry.path
    for above in path.relative_to(folder).parents:
        if (folder / above).is_symlink():
            raise InputError(f"cannot unpack {entry.path!r}: {str(above)!r} is a link")
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.mode == LINK:
        path.symlink_to(entry.target)
        return
    with path.open("xb") as stream:
        for chunk in _pieces(archive, info):
            stream.write(chunk)
    if entry.mode == EXECUTABLE:
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it


def _is_private(parts: Iterable[str]) -> bool:
    """Say whether a path leads into git's own folder, in any spelling that a filesystem may accept."""
    return any(PRIVATE.fullmatch(_as_opened(one)) for part in parts for one in part.split("\\"))


def _as_opened(part: str) -> str:
    """Return a name as the filesystems that are least exact about it take it.

    HFS+ drops characters that cannot be seen, Windows what follows a colon, and dots and spaces at the end;
    a backslash is a separator there.
    """
    seen = "".join(one for one in part if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", seen).casefold().split(":")[0].rstrip(" .")
