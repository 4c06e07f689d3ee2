"""The file in a trial's folder with its outcome: there before its run is closed, whoever dies next."""

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
    """Write the outcome of the trial in `folder`. Raises OSError."""
    content = (
        {"values": list(outcome.values)} if isinstance(outcome, messages.Completed) else {"pruned": True}
    )
    write_whole(folder / FILE, json.dumps(content).encode())


def read_outcome(folder: Path) -> messages.Completed | messages.Pruned | None:
    """Return the outcome of the trial in `folder`; None where it has none, or not a legible one."""
    try:
        content = json.loads(_read(folder / FILE))
        if "pruned" in content and content["pruned"] is True:
            return messages.Pruned()
        return messages.Completed(values(content["values"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _read(file: Path) -> bytes:
    """Return the content of a file of ours, which is small. Raises OSError, ValueError."""
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > LONGEST:
        raise ValueError(f"{file} is none of ours")
    return file.read_bytes()


def forget(folder: Path) -> None:
    """Remove the outcome that an earlier process of a trial left in `folder`."""
    with contextlib.suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)
