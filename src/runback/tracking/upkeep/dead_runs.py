"""Runs that are RUNNING in MLflow although no process trains them any more: it was killed."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run as MlflowRun

from runback.errors import InputError
from runback.tracking.read.find_runs import find_run, search
from runback.tracking.layout import waits
from runback.tracking.tags import SWEEP_TAG
from runback.system.files.folder_lock import alone_with, is_held
from runback.tracking.write.run_writer import RunWriter
from runback.tracking.store import Store

GONE = "its process is gone"
"""The reason of a run that is closed for its process."""

ABANDONED = "paused, and no sweep goes on with it"
"""The reason of a paused run that is closed for its sweep."""


@dataclass(frozen=True)
class Running:
    """The runs that MLflow believes to train."""

    attended: list[MlflowRun]
    unattended: list[MlflowRun]
    waiting: list[MlflowRun]
    """Unattended too, but how they ended may still be to be delivered."""
    unknown: list[MlflowRun]
    """Runs of which nothing can be known here: another program's, or another machine's."""


def running(store: Store, ours: Collection[str] = ()) -> Running:
    """Sort the store's RUNNING runs by whether their process lives. Raises StoreError.

    `ours` are the IDs of runs of the sweeps in this mlruns/. A server may have other machines' runs, whose
    sweeps have the same names and folders: only those count there.
    """
    sorted_out = Running([], [], [], [])
    for run in search(store, "attributes.status = 'RUNNING'"):
        folder = folder_of(store, run)
        if folder is None or not _is_ours(store, run, folder, ours):
            sorted_out.unknown.append(run)
        elif is_held(folder, store.layout.mlruns):
            sorted_out.attended.append(run)
        elif waits(folder):
            sorted_out.waiting.append(run)
        else:
            sorted_out.unattended.append(run)
    return sorted_out


def paused(
    store: Store, ours: Collection[str], going_on: Collection[str], unread: Collection[str] = ()
) -> tuple[int, list[MlflowRun]]:
    """Return the number of paused runs of sweeps, and those that no sweep here goes on with. StoreError.

    `ours` are the IDs of runs of the sweeps in this mlruns/, `going_on` those of trials that have not ended.
    Runs of the sweeps `unread`, of which nothing is known, are neither.
    """
    count, left = 0, []
    for run in search(store, "attributes.status = 'SCHEDULED'"):
        folder, sweep = folder_of(store, run), run.data.tags.get(SWEEP_TAG)
        if sweep is None or sweep in unread or folder is None or not _is_ours(store, run, folder, ours):
            continue
        is_busy = is_held(folder, store.layout.mlruns) or waits(folder)
        if run.info.run_id in going_on or is_busy:
            count += 1
        else:
            left.append(run)
    return count, left


def close(store: Store, run: MlflowRun, status: str = "RUNNING", reason: str = GONE) -> bool:
    """End an unattended run as KILLED; return False where it has a process again. Raises StoreError.

    Likewise where it has not this status any more.
    """
    folder = folder_of(store, run)
    with contextlib.ExitStack() as held:
        if folder is not None and folder.is_dir():
            try:
                held.enter_context(alone_with(folder, store.layout.mlruns, f"run {run.info.run_id}"))
            except InputError:
                return False
        if find_run(store, run.info.run_id).info.status != status:
            return False
        RunWriter(store, run.info.run_id).finish("KILLED", reason)
        return find_run(store, run.info.run_id).info.status == "KILLED"


def folder_of(store: Store, run: MlflowRun) -> Path | None:
    """Return the folder in mlruns/ that the run's process holds; None where it has none there."""
    try:
        return store.layout.run_folder(run.data.tags, run.info.run_id)
    except InputError:
        return None


def _is_ours(store: Store, run: MlflowRun, folder: Path, ours: Collection[str]) -> bool:
    if not store.is_server:
        return True
    in_a_sweep = SWEEP_TAG in run.data.tags
    return folder.is_dir() and (not in_a_sweep or run.info.run_id in ours)
