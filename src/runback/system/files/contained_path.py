"""Keeps what is stored as a path, by whomever, inside the folder it belongs to."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from runback.errors import InputError


def inside(top: Path, path: str | PurePath, what: str) -> Path:
    """Return where `path`, absolute or from `top`, leads, links resolved: somewhere below `top`.

    Raises InputError where it leads elsewhere; `what` opens the message.
    """
    resolved = _resolved(top / path)
    if resolved is None or not resolved.is_relative_to(top.resolve()) or resolved == top.resolve():
        leads = "" if resolved is None or resolved == top / path else f", which leads to {resolved}"
        raise InputError(f"{what} must lie in {top}; got {str(path)!r}{leads}")
    return resolved


def refuse_elsewhere(name: str, what: str) -> None:
    """Raise InputError where a name that a file gets below some folder is none, or leads out of it."""
    path = PurePath(name) if isinstance(name, str) else PurePath()
    is_inside = not path.is_absolute() and ".." not in path.parts and "\0" not in str(path)
    if not path.parts or not is_inside or str(name).endswith("/"):
        raise InputError(
            f"{what}: an artifact's name is a path from the run's artifacts, as plots/curve.png; "
            f"got {name!r:.200}"
        )


def refuse_links_out(folder: Path, top: Path, what: str) -> None:
    """Raise InputError where a link in `folder`, however deep, leads out of `top`; `what` opens the message.

    What is written into the folder would be written, and what is read be read, outside.
    """
    for link in _links(folder):
        inside(top, link, f"{what}: {link.name}")


def _links(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):  # into no link
        yield from (path for name in (*folders, *files) if (path := Path(parent, name)).is_symlink())


def _resolved(path: Path) -> Path | None:
    """Return the real path; None for what can be none: a loop of links, a null character."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None
