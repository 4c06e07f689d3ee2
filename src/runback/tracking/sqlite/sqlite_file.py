"""One SQLite database as a file: whether it can be relied on, and a copy of it; not what is in it."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from runback.errors import InputError, StoreError

LOCK_TIMEOUT = 15.0
"""Seconds to wait for another program's lock; `$RUNBACK_LOCK_TIMEOUT` overrides it."""

FAULTS_SHOWN = 3
"""Faults of a damaged database that are told of; there may be thousands."""


STRANGE = """
    SELECT type, name FROM sqlite_master
    WHERE rootpage = 0 AND NOT (type = 'trigger' AND tbl_name = 'secrets') LIMIT 1
"""
"""Views, triggers and virtual tables, which may run without end: MLflow has only triggers of a table that we
never write to, Optuna none."""


def sqlite_uri(database: Path) -> str:
    """Return MLflow's URI for a database file; raises StoreError for a path that no such URI can express."""
    text = str(database)
    if "?" in text or "%" in text:
        raise StoreError(f"MLflow cannot use a database below a folder with '?' or '%' in its name: {text}")
    return f"sqlite:///{text}"


def file_of(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for any other."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").split("?")[0]).absolute()


def printable_path(database: Path) -> str:
    """Return the database's path as messages show it: `mlruns/mlflow.db`."""
    return f"{database.parent.name}/{database.name}"


def revision(database: Path, timeout: float | None = None) -> str | None:
    """Return the version of the database's schema, once it is certain that it can be written to.

    Waits for another program's lock for `timeout` seconds, by default LOCK_TIMEOUT. Raises StoreError when
    the file is not writable, stays locked, or is no database; None where the schema says no version.
    """
    if not os.access(database, os.R_OK | os.W_OK):
        raise StoreError(f"{printable_path(database)} is not writable: give yourself write permission to it")
    with connected(database, timeout) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def faults(database: Path, timeout: float) -> list[str]:
    """Return what SQLite finds broken in a database, a few lines; none where it is whole. StoreError."""
    with connected(database, timeout) as connection:
        lines = [str(line) for (line,) in connection.execute(f"PRAGMA integrity_check({FAULTS_SHOWN})")]
    return [] if lines == ["ok"] else [" ".join(line.split()) for line in lines]


def writes_ahead(database: Path, timeout: float) -> bool:
    """Return whether the database keeps a write-ahead log. Raises StoreError."""
    with connected(database, timeout) as connection:
        mode = connection.execute("PRAGMA journal_mode").fetchone()
    return bool(mode == ("wal",))


def write_ahead(database: Path) -> None:
    """Keep a write-ahead log from now on: four processes that logged at once took 0.29 s a run, not 0.95.

    Raises StoreError.
    """
    with connected(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def make(database: Path) -> None:
    """Make an empty database unless there is one, readable and writable by whom the umask says.

    SQLite itself would leave it to its owner alone to write it; the files beside it take its permissions.
    """
    database.touch()


def back_up(database: Path, label: str) -> Path:
    """Copy a database, which may be in use, to `mlflow.db.<label>.bak` beside it; return that."""
    backup = database.with_name(f"{database.name}.{label}.bak")
    make(backup)
    with (
        contextlib.closing(sqlite3.connect(database)) as source,
        contextlib.closing(sqlite3.connect(backup)) as copy,
    ):
        source.backup(copy)
    return backup


@contextlib.contextmanager
def connected(
    database: Path, timeout: float | None = None, *, read_only: bool = False
) -> Iterator[sqlite3.Connection]:
    """Connect, without transactions of Python's own; say in one line what keeps SQLite from its work.

    `timeout` is how many seconds to wait for another program's lock, by default LOCK_TIMEOUT. StoreError.
    """
    timeout = _lock_timeout() if timeout is None else timeout
    if database.exists() and not database.is_file():
        raise StoreError(f"{printable_path(database)} must be an ordinary file: move it away to start afresh")
    uri = f"file:{quote(str(database))}?mode={'ro' if read_only else 'rwc'}"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
        with contextlib.closing(connection):
            refuse_strange(connection, database)
            yield connection
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise StoreError(
                f"{printable_path(database)} is locked by another program (waited {timeout:g} s): "
                "end it, then try again"
            ) from error
        raise StoreError(f"{printable_path(database)} cannot be used: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{printable_path(database)} is damaged or no SQLite database ({error}): put a backup in its "
            "place, or move it away to start afresh"
        ) from error


def refuse_strange(connection: sqlite3.Connection, database: Path) -> None:
    """Raise StoreError for a database that is more than tables: reading it could run what never ends."""
    connection.execute("PRAGMA trusted_schema = OFF")
    odd = connection.execute(STRANGE).fetchone()
    if odd is not None:
        raise StoreError(
            f"{printable_path(database)} holds the {odd[0]} {odd[1]!a:.100}; expected plain tables: put "
            "a backup in its place, or move it away to start afresh"
        )


def _lock_timeout() -> float:
    named = os.environ.get("RUNBACK_LOCK_TIMEOUT", str(LOCK_TIMEOUT))
    try:
        return float(named)
    except ValueError:
        raise InputError(f"RUNBACK_LOCK_TIMEOUT must be a number of seconds; got {named!r}") from None
