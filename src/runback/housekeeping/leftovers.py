"""Finds, sizes and removes leftovers of dead processes in mlruns/, and files that nothing needs any more."""

import contextlib
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

from runback.errors import InputError
from runback.housekeeping.check import Check, ok
from runback.provenance.code.working_tree import abandoned_checkouts, remove_checkout
from runback.system.files.file_lock import is_locked
from runback.system.files.folder_lock import alone_with, is_held
from runback.tracking.layout import OUTBOX, Layout

if TYPE_CHECKING:
    from runback.tracking.store import Store

DAY = 86_400.0

OLD = 30.0
"""Days after which an environment that no run was reproduced in counts as not needed."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder in mlruns/ that is not needed any more."""

    kind: str
    path: Path
    why: str
    size: int
    """Its bytes, and those of all files in it, when it was found."""

    @classmethod
    def of(cls, kind: str, path: Path, why: str) -> Self:
        """Return it with its size."""
        files = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
        return cls(kind, path, why, sum(_bytes(one) for one in files))


def of_dead_processes(layout: Layout, older_than: float = OLD) -> list[Leftover]:
    """Find partial files, checkouts and old environments that no living process uses. Needs no store."""
    return [*_partial_files(layout), *_checkouts(layout), *_environments(layout, older_than)]


def checkpoints(store: "Store", *, every: bool = False) -> list[Leftover]:
    """Find the checkpoints of runs that cannot go on: FINISHED or pruned; with `every` of all that rest.

    Raises StoreError.
    """
    from runback.runs import checkpoint

    layout = store.layout
    found = []
    for folder in _folders_with(layout, "checkpoint-*.npz"):
        why = _why_over(store, folder)
        if why is None and every:
            why = "all checkpoints were asked for"
        if why is not None and not is_held(folder, layout.mlruns):
            found += [Leftover.of("checkpoint", path, why) for path in checkpoint.checkpoints(folder)]
    return found


def remove(layout: Layout, leftover: Leftover) -> bool:
    """Remove it, unless a living process has taken its folder up meanwhile; return whether it is gone.

    Raises InputError for what a link in mlruns/ has led to.
    """
    path = leftover.path
    layout.inside(path.parent / "it", f"the place of {path.name}")  # a link itself may go
    if leftover.kind == "checkout" and not path.is_symlink():
        remove_checkout(layout.root, path)
        return not path.exists()
    with contextlib.ExitStack() as held:
        if path.is_relative_to(layout.runs) or path.is_relative_to(layout.sweeps):
            folder = path if path.is_dir() else path.parent
            try:
                held.enter_context(alone_with(folder, layout.mlruns, str(folder)))
            except InputError:
                return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return not path.exists()


def leftovers_check(layout: Layout) -> Check:
    """Check what dead processes left behind."""
    try:
        found = of_dead_processes(layout)
    except InputError as error:
        return Check("leftovers", "warning", str(error))
    if not found:
        return ok("leftovers", "none")
    kinds = Counter(one.kind for one in found)
    counts = ", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in sorted(kinds.items()))
    megabytes = sum(one.size for one in found) / 1e6
    return Check(
        "leftovers", "warning", f"{counts}, {megabytes:,.1f} MB", "`runback clean` shows and removes them"
    )


def _partial_files(layout: Layout) -> Iterator[Leftover]:
    """Find half-written files: each was to be renamed by a process that holds a lock as long as it lives."""
    why = "its process died while it wrote"
    for folder in _folders_with(layout, ".*.partial"):
        if not is_held(folder, layout.mlruns):
            yield from (Leftover.of("partial file", path, why) for path in sorted(folder.glob(".*.partial")))
    for path in sorted(layout.data.glob(".*.*.partial")):
        # Listed before the lock is looked at: a process that comes later gives its own another name.
        if not is_locked(layout.data / f"{path.name.rsplit('.', 2)[0]}.lock"):
            yield Leftover.of("partial file", path, why)
    for path in sorted(layout.mlruns.glob(f"{layout.database.stem}.new*")):
        if not is_locked(layout.database.with_suffix(".lock")):
            yield Leftover.of("partial file", path, why)


def _checkouts(layout: Layout) -> Iterator[Leftover]:
    why = "the process that reproduced a run in it is gone"
    for folder in abandoned_checkouts(layout.checkouts):
        yield Leftover.of("checkout", folder, why)


def _environments(layout: Layout, older_than: float) -> Iterator[Leftover]:
    """Find environments by when a run was last reproduced in them, which is when their folder was touched."""
    folders = sorted(one for one in layout.environments.glob("*") if one.is_dir())
    used = _programs() if folders else []
    for folder in folders:
        days = (time.time() - folder.stat().st_mtime) / DAY
        if days > older_than and not any(program.startswith(f"{folder}/") for program in used):
            yield Leftover.of("environment", folder, f"not used for {days:.0f} days")


def _programs() -> list[str]:
    """Return the programs that run on this machine, as they were started."""
    lines = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    return [line[0] for line in lines if line]


def _folders_with(layout: Layout, pattern: str) -> list[Path]:
    """Return the folders of runs and trials that hold files with such names."""
    found: Iterable[Path] = (path for top in (layout.runs, layout.sweeps) for path in top.rglob(pattern))
    return sorted({path.parent for path in found if OUTBOX not in path.relative_to(layout.mlruns).parts})


def _why_over(store: "Store", folder: Path) -> str | None:
    """Return why the newest run in a folder cannot go on; None where it can, or where there is no run."""
    from runback.tracking.read.find_runs import newest_in, reason_of

    run = newest_in(store, folder)
    if run is None:
        return None
    if run.info.status == "FINISHED":
        return f"run {run.info.run_id} is FINISHED"
    if run.info.status == "KILLED" and (reason_of(run) or "").startswith("pruned"):
        return f"run {run.info.run_id} was pruned"
    return None


def _bytes(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return 0 if stat.S_ISDIR(found.st_mode) else found.st_size
