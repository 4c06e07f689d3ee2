"""How a trial ended, in a file of its folder: there before its run is closed, whoever dies next."""

import contextlib
import json
import os
from pathlib import Path

from runback.data.atomic import publish
from runback.sweeping import messages

FILE = "outcome.json"


def keep(folder: Path, outcome: messages.Completed | messages.Pruned) -> None:
    """Write how the trial in `folder` ended. Raises OSError."""
    content = (
        {"values": list(outcome.values)} if isinstance(outcome, messages.Completed) else {"pruned": True}
    )
    partial = folder / f".{FILE}.{os.getpid()}.partial"
    try:
        partial.write_text(json.dumps(content))
        publish(partial, folder / FILE)
    finally:
        partial.unlink(missing_ok=True)


def kept(folder: Path) -> messages.Completed | messages.Pruned | None:
    """Return how the trial in `folder` ended; None where it has not, or does not say so legibly."""
    try:
        content = json.loads((folder / FILE).read_text())
        if content.get("pruned"):
            return messages.Pruned()
        return messages.Completed(tuple(float(value) for value in content["values"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(folder: Path) -> None:
    """Remove what was kept in `folder` before its trial begins."""
    with contextlib.suppress(OSError):
        (folder / FILE).unlink(missing_ok=True)
