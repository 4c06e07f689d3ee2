"""Opens the store that runs are recorded in: the project's database, or the server the environment names."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage
from mlflow.exceptions import MlflowException
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError

from runback.system.files.full_disk import is_full
from runback.errors import DiskFull, InputError, RunbackError, StoreAway, StoreError
from runback.system.secrecy import redacted
from runback.tracking.sqlite.database import prepare
from runback.tracking.layout import Layout, folder_name, store_uri
from runback.tracking.upkeep.moved_artifacts import local_path, refuse_moved
from runback.tracking.upkeep.restoring import restoring
from runback.tracking.sqlite.sqlite_file import file_of
from runback.tracking.tracking_server import SCHEMES, refuse_foreign, why

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
"""Stores that this process writes itself; behind any other URI a server does."""

REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE", "BAD_REQUEST")
"""MLflow's codes for what it will not do later either. With others it is worth trying again."""

NOT_NOW = (401, 403, 408, 429)
"""HTTP status codes below 500 after which it is worth trying again: later, or with another password."""

CONNECTING = 10
"""Seconds that a database server gets to answer."""

RETRY_SECONDS = 1.0
"""Seconds from one try to the next where a store that is away is waited for."""

T = TypeVar("T")

_logger = logging.getLogger(__name__)


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

    def place(self, location: str | None, what: str) -> Path | None:
        """Return the folder that an artifact location names, links resolved; None for none on a disk here.

        Behind a server only the server's own places, and object stores, may be used: see `refuse_foreign`.
        Else raises InputError for one outside mlruns/, and for another kind of place where the store is a
        file: somebody else may have written it. So it does for a place on this disk that MLflow might read as
        another one. `what` opens the message.
        """
        if self.is_server:
            if urlsplit(self.uri).scheme in SCHEMES:
                refuse_foreign(location or "", self.uri, what)
            return None
        path = local_path(location or "")
        if path is not None:
            return self.layout.inside(path, what)
        if file_of(self.uri) is not None or urlsplit(location or "").scheme in ("", "file"):
            raise InputError(f"{what} must lie in {self.layout.mlruns}; got {location!r}")
        return None


def open_store(layout: Layout, *, is_prepared: bool = False) -> Store:
    """Open `$MLFLOW_TRACKING_URI` when it is set, else the project's mlruns/mlflow.db, created if need be.

    With `is_prepared` it is taken as it is, unasked: a trial's coordinator has opened it before.

    Several processes may do so at once. Raises StoreError when the store cannot be used: not writable, locked
    for longer than 15 s, damaged, or of an unknown version; StoreAway for a server that does not answer.
    """
    layout.refuse_links()
    uri = store_uri(layout)
    database = file_of(uri)
    if database is not None and not is_prepared:
        prepare(database, layout.artifacts)
    try:
        if re.match(r"(postgresql|mysql)\b", uri) and not is_prepared:
            _connect_once(uri)
        store = Store(uri, MlflowClient(uri), layout)
        if store.is_server and not is_prepared:
            store.client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        kind = StoreAway if isinstance(error, MlflowException) and not is_refusal(error) else StoreError
        raise kind(f"cannot use the store {redacted(uri)}: {why(error)}") from error
    return store


def _connect_once(uri: str) -> None:
    """Raise SQLAlchemyError for a database server that does not answer, which MLflow asks for two minutes."""
    engine = create_engine(uri, connect_args={"connect_timeout": CONNECTING})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@contextlib.contextmanager
def store_errors(store: Store, what: str, done: str = "store") -> Iterator[None]:
    """Turn what a store raises into a StoreError that says what could not be stored, or otherwise `done`.

    That is StoreAway where it may be stored later, and DiskFull where the store's own disk is this machine's.
    """
    try:
        yield
    except RunbackError:
        raise
    except Exception as error:  # an artifact store raises whatever its library does
        if not store.is_server and is_full(error, store.layout.mlruns):
            raise DiskFull(f"the disk is full: cannot {done} {what} in {store.layout.mlruns}") from error
        text = f"cannot {done} {what}: {why(error)}"
        raise (StoreError if is_refusal(error) else StoreAway)(text) from error


def is_refusal(error: Exception) -> bool:
    """Return whether the store, or a file system, will not do later either what it did not do now."""
    if isinstance(error, MlflowException):
        return error.error_code in REFUSALS
    answer = getattr(error, "response", None)  # of requests.HTTPError, which is an OSError without a number
    code = getattr(answer, "status_code", 500)
    return (isinstance(error, OSError) and error.errno is not None) or (code < 500 and code not in NOT_NOW)


def patiently(action: Callable[[bool], T], seconds: float) -> T:
    """Return what `action` returns, trying about every second while it raises StoreAway.

    It gets whether this is not the first try. A warning says that it waits; after `seconds` StoreAway comes
    out, with 0 at once.
    """
    deadline = time.monotonic() + seconds
    is_again = False
    while True:
        try:
            return action(is_again)
        except StoreAway as away:
            if time.monotonic() >= deadline:
                waited = f" (waited {seconds / 60:.0f} minutes for it)" if seconds else ""
                raise StoreAway(f"{away}{waited}") from away
            if not is_again:
                _logger.warning("waiting for the store: %s", away)
        is_again = True
        time.sleep(RETRY_SECONDS)


def experiment_id(store: Store, name: str) -> str:
    """Return the ID of the experiment with this name, creating it if need be; safe in several processes.

    A new one keeps its artifacts in mlruns/artifacts/<name>, unless a server decides that. Raises
    InputError for an impossible name or an experiment that was deleted, StoreError where its artifacts were
    moved.
    """
    folder = store.layout.artifacts / folder_name(name, "an experiment's name")
    location = None if store.is_server else folder.as_uri()
    if local_path(folder.as_uri()) is None:
        raise InputError(f"an experiment's name must hold no % before two hexadecimal digits; got {name!r}")
    experiment = find_experiment(store, name)
    if experiment is None:
        with store_errors(store, f"experiment {name!r}"):
            return _create_experiment(store, name, location)
    if not store.is_server:
        refuse_moved(experiment.artifact_location, store.layout.mlruns)
        store.place(experiment.artifact_location, f"the folder of the artifacts of experiment {name!r}")
    return str(experiment.experiment_id)


def find_experiment(store: Store, name: str, key: str = "tracking.experiment") -> Experiment | None:
    """Return the experiment with this name, which `key` of a config has; None where it is to be created.

    Errors: InputError for one that was deleted, or whose artifacts a server keeps where nobody may write;
    StoreError.
    """
    with store_errors(store, f"experiment {name!r}"):
        experiment = store.client.get_experiment_by_name(name)
    if experiment is not None and experiment.lifecycle_stage != LifecycleStage.ACTIVE:
        raise InputError(
            f"experiment {name!r} was deleted: choose another name with {key}=NAME, "
            f"{restoring(store.uri, experiment=experiment.experiment_id)}"
        )
    if experiment is not None and store.is_server:
        store.place(experiment.artifact_location, f"the folder of the artifacts of experiment {name!r}")
    return experiment


def _create_experiment(store: Store, name: str, location: str | None) -> str:
    try:
        return str(store.client.create_experiment(name, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        experiment = store.client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return str(experiment.experiment_id)
