"""The code and the machine that a process trains with, as a run's record has them."""

import contextlib
import functools
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from runback.provenance.code.snapshot import Snapshot, take_snapshot, tree_state
from runback.provenance.code.working_tree import toplevel
from runback.provenance.machine import environment, hardware
from runback.runs.schema import CodeRecord, MachineRecord, Software
from runback.system.files.process_owner import CLOCK

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordedCode:
    """The code that this process trains with."""

    snapshot: Snapshot
    project: str = "."
    """The project's folder within its repository."""
    edited: tuple[str, ...] = ()
    """Files that were changed after this process had imported them: the snapshot has what it did not run."""

    def as_dict(self) -> CodeRecord:
        """Return its record."""
        return {**self.snapshot.as_dict(), "project": self.project, "edited": list(self.edited)}

    @property
    def notices(self) -> list[str]:
        """Lines that say, before training, that no code is recorded; none where some is."""
        if self.snapshot.missing is None:
            return []
        return [f"  code: not recorded, and cannot be compared later: {self.snapshot.missing}"]

    def warn(self) -> None:
        """Say what the record leaves out, and where it may be wrong."""
        if self.snapshot.warning and self.snapshot.missing is None:  # else it has been said
            _logger.warning(self.snapshot.warning)
        if self.edited:
            _logger.warning(
                "edited after they were imported, recorded as they are now: %s", ", ".join(self.edited)
            )


def code_here(root: Path) -> RecordedCode:
    """Return the project's code as it is on the disk: fast where nothing has changed since the last time."""
    last = _states.get(root)
    if last is None or last.state != tree_state(root, last.top or root):
        top = toplevel(root)
        last = _states[root] = _TreeState(tree_state(root, top or root), top, take_snapshot(root))
    snapshot, top = last.snapshot, last.top
    if top is None or not root.is_relative_to(top):
        return RecordedCode(snapshot)
    return RecordedCode(snapshot, root.relative_to(top).as_posix(), tuple(_edited(top)))


@dataclass(frozen=True)
class _TreeState:
    """The working tree and its code when this process last looked."""

    state: tuple[object, ...]
    top: Path | None
    snapshot: Snapshot


_states: dict[Path, _TreeState] = {}


def _edited(top: Path) -> list[str]:
    process = psutil.Process()
    parent = process.parent()
    if parent is not None and "multiprocessing.forkserver" in " ".join(parent.cmdline()):
        process = parent  # it imported what this one needs, before it forked
    began = process.create_time()
    # As texts: there are thousands, and a Path for each takes a quarter of a second.
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    edited = []
    for file in (file for file in files if file.startswith(f"{top}/")):
        with contextlib.suppress(OSError):
            if Path(file).stat().st_mtime > began + CLOCK:
                edited.append(Path(file).relative_to(top).as_posix())
    return sorted(edited)


@functools.cache
def machine() -> MachineRecord:
    """Return everything that this process trains with, besides code and framework; it never changes."""
    return {
        **software(),
        "hardware": hardware.hardware(),
        "environment": environment.recorded_variables(),
    }


@functools.cache
def software() -> Software:
    """Return what is installed, as it was when this was first asked for: trials have it from their server."""
    return {
        "packages": environment.packages(),
        "python": environment.python(),
        "system": environment.system(),
    }
