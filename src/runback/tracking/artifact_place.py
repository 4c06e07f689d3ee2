"""Finds a run's artifacts on this machine: inside mlruns/, whatever its database says."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

from functools import lru_cache
from pathlib import Path

from runback.system.files.contained_path import inside
from runback.tracking.store import Store, store_errors

KNOWN = 1024
"""Runs whose locations are kept: they do not change while a store is open."""


def of_run(store: Store, run_id: str) -> Path | None:
    """Return the folder of a run's artifacts, see `Store.place`. Errors: InputError, StoreError."""
    return store.place(_location(store, run_id), f"the folder of the artifacts of run {run_id}")


def of_artifact(store: Store, run_id: str, name: str) -> Path | None:
    """Return where a run's artifact, or folder of them, is; None where it is on no local disk.

    Raises InputError where that is outside the run's own artifacts, as by a link. StoreError.
    """
    folder = of_run(store, run_id)
    if folder is None or not name:
        return folder
    return inside(folder, name, f"artifact {name!r} of run {run_id}")


@lru_cache(KNOWN)
def _location(store: Store, run_id: str) -> str:
    with store_errors(store, f"anything of run {run_id}"):
        return str(store.client.get_run(run_id).info.artifact_uri)
