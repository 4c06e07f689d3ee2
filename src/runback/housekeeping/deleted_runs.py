"""Finds the remains of runs that were deleted in MLflow: their artifacts, networks and folders."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runback.errors import InputError
from runback.housekeeping.leftovers import Leftover
from runback.system.files.folder_lock import is_held
from runback.tracking.layout import waits
from runback.tracking.tags import KIND_TAG, SWEEP_TAG

if TYPE_CHECKING:
    from runback.tracking.store import Store
    from runback.tracking.upkeep.deleted_entities import Deleted


@dataclass(frozen=True)
class DeletedRuns:
    """Remains of deleted runs. `folders` go first: MLflow forgets their places when it has purged runs."""

    folders: list[Leftover]
    artifacts: list[Leftover]
    purge: Callable[[], None] | None
    """Deletes the artifacts, and the runs for good; None: there is nothing to delete."""
    note: str = ""
    """The reason why nothing of them is deleted, although there is something."""


def deleted_runs(store: "Store") -> DeletedRuns:
    """Find what is left of deleted runs in a store that is a database of this machine. Raises StoreError.

    As `mlflow gc` deletes all of them or nothing, so does this: nothing while one of them still trains, or
    where artifacts lie outside mlruns/, as they do in a copy of a project.
    """
    from runback.tracking.upkeep.deleted_entities import deleted, places, purge

    found = deleted(store)
    if not found:
        return DeletedRuns([], [], None)
    mlruns = store.layout.mlruns
    try:
        artifacts = [Leftover.of("artifacts", path, why) for path, why in places(store, found)]
    except InputError as error:
        return _nothing(f"artifacts of deleted runs lie outside {mlruns}, or are not theirs alone: {error}")
    folders = list(_folders(store, found))
    for one in folders:
        if is_held(one.path, mlruns):
            return _nothing(f"{one.why}, and its process still trains in {one.path}: stop it first")
    nested = {one for one in folders for other in folders if other.path in one.path.parents}
    return DeletedRuns([one for one in folders if one not in nested], artifacts, partial(purge, store, found))


def _nothing(note: str) -> DeletedRuns:
    return DeletedRuns([], [], None, f"deleted runs stay: {note}")


def _folders(store: "Store", found: "Deleted") -> Iterator[Leftover]:
    """Find the folders of deleted runs that are no other run's, with nothing in them that is to be sent."""
    from runback.tracking.read.find_runs import newest_in, search_sweep
    from runback.tracking.upkeep.dead_runs import folder_of

    known: set[Path] = set()
    for run in found.runs:
        folder = folder_of(store, run)
        if folder is None or folder in known or not folder.is_dir() or waits(folder):
            continue
        if not any(top in folder.parents for top in (store.layout.runs, store.layout.sweeps)):
            continue
        known.add(folder)
        is_sweep = run.data.tags.get(KIND_TAG) == "sweep"
        if not (search_sweep(store, run.data.tags[SWEEP_TAG]) if is_sweep else newest_in(store, folder)):
            yield Leftover.of("folder", folder, f"run {run.info.run_id} was deleted")
