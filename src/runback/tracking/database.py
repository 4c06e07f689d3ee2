"""MLflow's SQLite database: created whole or not at all, brought up to date, ready to be written to."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import mlflow.db
from alembic.script import ScriptDirectory
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from sqlalchemy.exc import SQLAlchemyError

from runback.errors import StoreError
from runback.tracking.layout import refuse_unwritable
from runback.tracking.sqlite import lock_timeout, readable_errors, shown, sqlite_uri
from runback.tracking.text import first_line

CREATION_TIMEOUT = 120.0
"""Seconds to wait for another process that creates or migrates the database, which takes it about 2."""


def prepare(database: Path, artifacts: Path) -> None:
    """Make the database exist, up to date and writable; safe in several processes at once.

    `artifacts` is where MLflow's own experiment "Default" keeps its artifacts. Raises StoreError when
    the folder or the database cannot be used or stays locked.
    """
    _make_folders(database.parent, artifacts)
    try:
        if not _exists(database):
            with _creation_lock(database):
                if not _exists(database):
                    _create(database, artifacts)
        if _revision(database) != _newest_revision():
            with _creation_lock(database):
                _migrate(database)
    except (OSError, SQLAlchemyError, MlflowException) as error:
        raise StoreError(f"cannot set up {shown(database)}: {first_line(str(error))}") from error


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
    deadline = time.monotonic() + CREATION_TIMEOUT
    with database.with_suffix(".lock").open("a") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"another process has been setting up {shown(database)} for "
                        f"{CREATION_TIMEOUT:.0f} s: end it, then try again"
                    ) from None
                time.sleep(0.05)
        yield


def _create(database: Path, artifacts: Path) -> None:
    """Write the database beside its place and move it there: a killed process leaves no half of one."""
    fresh = database.with_suffix(".new")
    for leftover in fresh.parent.glob(fresh.name + "*"):
        leftover.unlink()
    store = SqlAlchemyStore(sqlite_uri(fresh), artifacts.as_uri())  # type: ignore[no-untyped-call]
    store.engine.dispose()
    _write_ahead(fresh)
    fresh.replace(database)


def _write_ahead(database: Path) -> None:
    """Keep a write-ahead log from now on: four processes that logged at once took 0.29 s a run, not 0.95."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def _revision(database: Path) -> str | None:
    """Return the version of the database's schema, once it is certain that it can be written to."""
    if not os.access(database, os.R_OK | os.W_OK):
        raise StoreError(f"{shown(database)} is not writable: give yourself write permission to it")
    with (
        readable_errors(database),
        contextlib.closing(
            sqlite3.connect(database, timeout=lock_timeout(), isolation_level=None)
        ) as connection,
    ):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _newest_revision() -> str | None:
    return _migrations().get_current_head()


def _migrations() -> ScriptDirectory:
    return ScriptDirectory(str(files("mlflow.store") / "db_migrations"))


def _migrate(database: Path) -> None:
    """Bring an older MLflow's database up to date, after copying it to `mlflow.db.<revision>.bak`."""
    revision = _revision(database)
    if revision == _newest_revision():
        return
    known = {script.revision for script in _migrations().walk_revisions()}
    if revision not in known:
        raise StoreError(
            f"{shown(database)} has schema {revision}, which MLflow {mlflow.__version__} does not know: "
            "install the MLflow version that wrote it"
        )
    backup = database.with_name(f"{database.name}.{revision}.bak")
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(backup)) as copy,
    ):
        source.backup(copy)
    mlflow.db.upgrade.main([sqlite_uri(database)], standalone_mode=False)
    _write_ahead(database)
