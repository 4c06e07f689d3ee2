"""Finds the files under a folder; links to folders are followed once, and not in circles."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runback.errors import DataError

HIDDEN = "hidden files and folders"
SYSTEM = "folders of an operating system"
CIRCLE = "links that lead back to a folder above them"
TWICE = "further links to the same folder"
LOST = "links that lead nowhere"

SYSTEM_FOLDERS = frozenset(
    {
        "__MACOSX",
        "@eaDir",
        "#recycle",
        "#snapshot",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
        "__pycache__",
    }
)

Identity = tuple[int, int]


@dataclass
class ListedFiles:
    """Files, and what was left out: pairs of a kind and a path."""

    files: list[Path] = field(default_factory=list)
    left_out: list[tuple[str, Path]] = field(default_factory=list)


def files_under(folder: Path) -> ListedFiles:
    """Return all files under a folder, sorted, links to files among them. Errors: DataError."""
    found = ListedFiles()
    try:
        above = [folder.resolve(), *folder.resolve().parents]
        _Walk(found, {_identity(folder)}).through(folder, frozenset(map(_identity, above)))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    found.files.sort()
    return found


def folders_in(top: Path) -> tuple[list[Path], ListedFiles]:
    """Return the folders in a folder, sorted, and what else is there. Errors: DataError."""
    found = ListedFiles()
    try:
        above = {_identity(top.resolve()), *map(_identity, top.resolve().parents)}
        folders = []
        for entry in sorted(top.iterdir()):
            if not _is_kept(entry, found):
                continue
            if not entry.is_dir():
                found.files.append(entry)
            elif entry.is_symlink() and _identity(entry) in above:
                found.left_out.append((CIRCLE, entry))
            else:
                folders.append(entry)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return folders, found


@dataclass
class _Walk:
    found: ListedFiles
    visited: set[Identity]

    def through(self, top: Path, above: frozenset[Identity]) -> None:
        """Walk through the folders themselves first, then follow their links."""
        links = []
        waiting = [(top, above)]
        while waiting:
            folder, chain = waiting.pop()
            for entry in self._entries(folder):
                path = Path(entry.path)
                is_link = entry.is_symlink()
                # The entry's own `is_dir` would raise an error for a link to itself.
                if not (path.is_dir() if is_link else entry.is_dir()):
                    self.found.files.append(path)
                elif is_link:
                    links.append((path, chain))
                elif _is_kept(path, self.found):
                    identity = _identity(path)
                    if identity not in self.visited:
                        self.visited.add(identity)
                        waiting.append((path, chain | {identity}))
        for path, chain in sorted(links):
            self._follow(path, chain)

    def _follow(self, link: Path, chain: frozenset[Identity]) -> None:
        identity = _identity(link)
        if identity in chain:
            self.found.left_out.append((CIRCLE, link))
        elif identity in self.visited:
            self.found.left_out.append((TWICE, link))
        elif _is_kept(link, self.found):
            self.visited.add(identity)
            self.through(link, chain | {identity})

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if not _is_hidden(entry.name, Path(entry.path), self.found):
                    yield entry


def _is_hidden(name: str, path: Path, found: ListedFiles) -> bool:
    if not name.startswith("."):
        return False
    found.left_out.append((HIDDEN, path))
    return True


def _is_kept(path: Path, found: ListedFiles) -> bool:
    if path.name in SYSTEM_FOLDERS and path.is_dir():
        found.left_out.append((SYSTEM, path))
        return False
    return not _is_hidden(path.name, path, found)


def _identity(path: Path) -> Identity:
    stat = path.stat()
    return stat.st_dev, stat.st_ino
