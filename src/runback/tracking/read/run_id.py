"""Reads a person's name for a run: its ID, or the beginning of it."""

from collections.abc import Sequence
from typing import TypeVar

from runback.errors import InputError

PREFIX_LENGTH = 6
"""Characters of a run ID that must be given at least; a whole one has 32."""

T = TypeVar("T")


def beginning(run_id: str) -> str:
    """Return what the run's ID begins with; raises InputError for what cannot be an ID."""
    wanted = run_id.strip().lower()
    if not wanted.isalnum() or len(wanted) < PREFIX_LENGTH:
        raise InputError(
            f"a run is named by its ID, or the first {PREFIX_LENGTH} or more characters of it; got {run_id!r}"
        )
    return wanted


def the_only(matches: Sequence[T], run_id: str, store: object) -> T:
    """Return the one run whose ID begins with `run_id`; raises InputError for none and for several."""
    if not matches:
        raise InputError(f"no run {run_id!r} in {store}: `runback ui` shows those there are")
    if len(matches) > 1:
        raise InputError(f"{len(matches)} runs' IDs begin with {run_id!r}: give more of it")
    return matches[0]
