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


def expanded(path: str, what: str) -> Path:
    """Return a path, absolute, with `~` as the home it stands for; raises InputError for that of nobody."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise InputError(f"{what} begins with the home of nobody: {path!a}") from None
