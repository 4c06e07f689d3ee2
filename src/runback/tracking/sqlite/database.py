"""MLflow's SQLite database: created whole or not at all, brought up to date, ready to be written to."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
from collections.abc import Iterator
from pathlib import Path
from sqlite3 import Connection

from mlflow.exceptions import MlflowException
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from runback.errors import StoreError
from runback.system.files.file_lock import open_lock, take
from runback.system.files.whole_file import publish
from runback.system.files.network_mounts import refuse_network_file
from runback.tracking.layout import refuse_unwritable
from runback.tracking.mlflow_internals import create_tables, newest_revision, upgrade_tables
from runback.tracking.sqlite.database_schema import refuse_unknown
from runback.tracking.sqlite.sqlite_file import (
    back_up,
    make,
    revision,
    printable_path,
    sqlite_uri,
    write_ahead,
)
from runback.tracking.mlflow_limits import first_line

CREATION_TIMEOUT = 120.0
"""Seconds to wait for another process that creates or migrates the database, which takes it about 2."""


def prepare(database: Path, artifacts: Path) -> None:
    """Make the database exist, up to date and writable; safe in several processes at once.

    `artifacts` is where MLflow's own experiment "Default" keeps its artifacts. Raises StoreError when
    the folder or the database cannot be used or stays locked.
    """
    refuse_network_file(database, "the store of runs", "with MLFLOW_TRACKING_URI a server that uses it")
    _make_folders(database.parent, artifacts)
    try:
        if not _exists(database):
            with _creation_lock(database):
                if not _exists(database):
                    _create(database, artifacts)
        if revision(database) != newest_revision():
            with _creation_lock(database):
                _migrate(database)
    except (OSError, SQLAlchemyError, MlflowException) as error:
        raise StoreError(f"cannot set up {printable_path(database)}: {first_line(str(error))}") from error


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot create the folder {folder}: {error.strerror or error}") from error
        refuse_unwritable(folder)


def _exists(database: Path) -> bool:
    return database.exists() and database.stat().st_size > 0


@contextlib.contextmanager
def _creation_lock(database: Path) -> Iterator[None]:
    """Hold the one lock under which the database is created and migrated."""
    with open_lock(database.with_suffix(".lock")) as lock:
        try:
            take(lock, CREATION_TIMEOUT)
        except BlockingIOError:
            raise StoreError(
                f"another process has been setting up {printable_path(database)} for "
                f"{CREATION_TIMEOUT:.0f} s: end it, then try again"
            ) from None
        yield


def _create(database: Path, artifacts: Path) -> None:
    """Write the database beside its place and move it there: a killed process leaves no half of one."""
    fresh = database.with_suffix(".new")
    for leftover in fresh.parent.glob(fresh.name + "*"):
        leftover.unlink()
    make(fresh)
    with _not_flushed(fresh):
        create_tables(sqlite_uri(fresh), artifacts.as_uri())
    write_ahead(fresh)
    publish(fresh, database)


@contextlib.contextmanager
def _not_flushed(database: Path) -> Iterator[None]:
    """Have SQLAlchemy's connections to a database leave flushing it to us: of some 6 s, that takes 4."""

    def connect(connection: Connection, _: object) -> None:
        file = connection.execute("PRAGMA database_list").fetchone()[2]
        if file and Path(file) == database.resolve():
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", connect)
    try:
        yield
    finally:
        event.remove(Engine, "connect", connect)


def _migrate(database: Path) -> None:
    """Bring an older MLflow's database up to date, after copying it to `mlflow.db.<revision>.bak`."""
    present = revision(database)
    if present == newest_revision():
        return
    refuse_unknown(database, present)
    back_up(database, str(present))
    upgrade_tables(sqlite_uri(database))
    write_ahead(database)
