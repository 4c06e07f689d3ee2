"""Opens the store that runs are recorded in: the project's database, or the server the environment names."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from runback.errors import InputError, StoreError
from runback.tracking.database import prepare, sqlite_uri
from runback.tracking.layout import Layout, folder_name
from runback.tracking.moved import refuse_moved
from runback.tracking.sqlite_file import file_of
from runback.tracking.text import first_line, redacted

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Stores that this process writes itself; behind any other URI a server does."""


@dataclass(frozen=True)
class Store:
    """An open store. `uri` may hold a password: show `str(store)` instead."""

    uri: str
    client: MlflowClient
    layout: Layout

    def __str__(self) -> str:
        return redacted(self.uri)

    def __repr__(self) -> str:
        return f"Store({redacted(self.uri)!r})"

    @property
    def is_server(self) -> bool:
        """Whether a server keeps the runs, and their artifacts, rather than files and a database."""
        return urlsplit(self.uri).scheme.split("+")[0] not in DATABASES


def open_store(layout: Layout, *, is_prepared: bool = False) -> Store:
    """Open `$MLFLOW_TRACKING_URI` when it is set, else the project's mlruns/mlflow.db, created if need be.

    With `is_prepared` the database is taken as it is: a trial's coordinator has opened it before.

    Several processes may do so at once. Raises StoreError when the store cannot be used: not writable, locked
    for longer than 15 s, damaged, of an unknown version, or a server that does not answer.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(layout.database)
    database = file_of(uri)
    if database is not None and not is_prepared:
        prepare(database, layout.artifacts)
    try:
        store = Store(uri, MlflowClient(uri), layout)
        if store.is_server:
            store.client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        raise StoreError(f"cannot use the store {redacted(uri)}: {first_line(str(error))}") from error
    return store


def experiment_id(store: Store, name: str) -> str:
    """Return the ID of the experiment with this name, creating it if need be; safe in several processes.

    A new one keeps its artifacts in mlruns/artifacts/<name>, unless a server decides that. Raises
    InputError for an impossible name or an experiment that was deleted, StoreError where its artifacts were
    moved.
    """
    folder = store.layout.artifacts / folder_name(name, "an experiment's name")
    location = None if store.is_server else folder.as_uri()
    try:
        found = store.client.get_experiment_by_name(name)
        if found is None:
            return _create_experiment(store, name, location)
    except MlflowException as error:
        raise StoreError(f"experiment {name!r} cannot be opened: {first_line(str(error))}") from error
    if found.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InputError(
            f"experiment {name!r} was deleted: choose another name, or restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    if not store.is_server:
        refuse_moved(found.artifact_location, store.layout.mlruns)
    return str(found.experiment_id)


def _create_experiment(store: Store, name: str, location: str | None) -> str:
    try:
        return str(store.client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        found = store.client.get_experiment_by_name(name)
        if found is None:
            raise
        return str(found.experiment_id)
