"""Runs, models and experiments that a person has deleted in MLflow, which keeps them until `mlflow gc`."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import LoggedModel, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException

from runback.errors import InputError, StoreError
from runback.tracking.server import confined_gc
from runback.tracking.read.find_runs import search
from runback.tracking.store import Store
from runback.tracking.mlflow_internals import deleted_model_ids, logged_model
from runback.tracking.mlflow_limits import first_line

MANY = 50_000
"""Runs that MLflow returns at most."""


@dataclass(frozen=True)
class Deleted:
    """Deleted runs, models and experiments, and the networks of such runs, which MLflow keeps beside them."""

    runs: list[MlflowRun]
    models: list[LoggedModel]
    experiments: list[str]
    """Their names."""

    def __bool__(self) -> bool:
        return bool(self.runs or self.models or self.experiments)


def deleted(store: Store) -> Deleted:
    """Return what is deleted in a store that is a database of this machine. Raises StoreError.

    A deleted run's network stays where it is a version of a registered model.
    """
    runs = search(store, limit=MANY, deleted=True)
    try:
        registered = {_model_of(version) for version in store.client.search_model_versions()}
        of_runs = {model for run in runs for model in _models_of(run)} - registered
        already = set(deleted_model_ids(store.client))
        models = [logged_model(store.client, model_id) for model_id in sorted(of_runs | already)]
        experiments = [one.name for one in store.client.search_experiments(ViewType.DELETED_ONLY)]
    except MlflowException as error:
        raise StoreError(f"cannot search {store}: {first_line(str(error))}") from error
    return Deleted(runs, [model for model in models if model is not None], experiments)


def places(store: Store, entities: Deleted) -> Iterator[tuple[Path, str]]:
    """Give the folders of artifacts that go with what is deleted, each with what it is of.

    Raises InputError for a place outside mlruns/, and for one that holds more than those artifacts.
    """
    for run in entities.runs:
        yield _own(store, run.info.artifact_uri, run.info.run_id), f"run {run.info.run_id} was deleted"
    for model in entities.models:
        of = f"of run {model.source_run_id} " if model.source_run_id else ""
        why = f"model {model.model_id} {of}was deleted"
        yield _own(store, model.artifact_location, model.model_id), why


def purge(store: Store, entities: Deleted) -> None:
    """Let MLflow delete all of it for good, with its artifacts. Raises StoreError.

    Killed in the middle it leaves what was not deleted yet as it is: the next time goes on.
    """
    folders = [folder for folder, _ in places(store, entities)]
    for model in entities.models:
        with contextlib.suppress(MlflowException):  # it is deleted already
            store.client.delete_logged_model(model.model_id)
    done = subprocess.run(  # noqa: S603 - our own interpreter, and a database of this machine
        [sys.executable, "-m", confined_gc.__name__, str(store.layout.mlruns), store.uri],
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise StoreError(f"mlflow gc failed: {first_line(lines[-1])}")
    for folder in folders:
        _remove_empty(folder)


def _models_of(run: MlflowRun) -> list[str]:
    outputs = run.outputs.model_outputs if run.outputs else []
    return [str(output.model_id) for output in outputs]


def _model_of(version: object) -> str:
    """Return the ID of the logged model that a registered model's version is."""
    source = str(getattr(version, "source", None) or "")
    return str(getattr(version, "model_id", None) or source.removeprefix("models:/"))


def _own(store: Store, location: str, owner: str) -> Path:
    """Return the folder that MLflow removes with a run or a model: below one that is called after it."""
    folder = store.place(location, f"the folder of the artifacts of {owner}")
    if folder is None or owner not in folder.relative_to(store.layout.mlruns).parts[:-1]:
        raise InputError(f"the folder of the artifacts of {owner} must be its own; got {location}")
    return folder


def _remove_empty(artifacts: Path) -> None:
    """Remove the folder around a run's artifacts, in which nothing else is."""
    with contextlib.suppress(OSError):
        artifacts.parent.rmdir()
