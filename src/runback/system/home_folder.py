"""The user's home, which libraries ask for when they are imported."""

import os
from pathlib import Path

from runback.errors import InputError

NOWHERE = "/nonexistent"
"""A folder that does not exist, which Debian gives users without a home: nobody can put files there."""


def name_home() -> None:
    """Name a home in this process's environment where there is none: no HOME, and a user without an entry.

    MLflow cannot be imported otherwise.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = NOWHERE


def followed(path: Path) -> Path:
    """Return a path with its `~` or `~NAME` as the home that is; raises RuntimeError for that of nobody."""
    found = path.expanduser()
    if found != path and found.is_relative_to(NOWHERE):  # also one that `name_home` has named
        raise RuntimeError(f"{path} begins with the home of nobody")
    return found


def expanded(path: str, what: str) -> Path:
    """Return a path, absolute, with `~` followed; raises InputError for the home of nobody."""
    try:
        return followed(Path(path)).absolute()
    except RuntimeError:
        raise InputError(f"{what} begins with the home of nobody: {path!a}") from None
