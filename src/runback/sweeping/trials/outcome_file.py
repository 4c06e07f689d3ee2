"""How a trial ended, in a file of its folder: there before its run is closed, whoever dies next."""

import contextlib
import json
import stat
from pathlib import Path

from runback.sweeping.study.objective_value import values
from runback.sweeping.trials import messages
from runback.system.files.whole_file import write_whole

FILE = "outcome.json"

LONGEST = 10_000
"""Bytes of such a file."""


def write_outcome(folder: Path, outcome: messages.Completed | messages.Pruned) -> None:
    """Write how the trial in `folder` ended. Raises OSError."""
    content = (
        {"values": list(outcome.values)} if isinstance(outcome, messages.Completed) else {"pruned": True}
    )
    write_whole(folder / FILE, json.dumps(content).encode())


def read_outcome(folder: Path) -> messages.Completed | messages.Pruned | None:
    """Return how the trial in `folder` ended; None where it has not, or does not say so legibly."""
    try:
        content = json.loads(_read(folder / FILE))
        if "pruned" in content and content["pruned"] is True:
            return messages.Pruned()
        return messages.Completed(values(content["values"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _read(file: Path) -> bytes:
    """Return what is in a file of ours, which is small. Raises OSError, ValueError."""
    found = file.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > LONGEST:
        raise ValueError(f"{file} is none of ours")
    return file.read_bytes()


def forget(folder: Path) -> None:
    """Remove what was kept in `folder` before its trial begins."""
    with contextlib.suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)
