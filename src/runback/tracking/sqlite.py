"""What is known of MLflow's SQLite database without MLflow: where it lies, and what its errors mean."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from runback.errors import InputError, StoreError
from runback.tracking.layout import Layout

LOCK_TIMEOUT = 15.0
"""Seconds to wait for another program's lock; `$RUNBACK_LOCK_TIMEOUT` overrides it."""


def store_uri(layout: Layout) -> str:
    """Return where runs are recorded: `$MLFLOW_TRACKING_URI`, else the project's own database. StoreError."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(layout.database)


def sqlite_uri(database: Path) -> str:
    """Return MLflow's URI for a database file; raises StoreError for a path that no such URI can express."""
    text = str(database)
    if "?" in text or "%" in text:
        raise StoreError(f"MLflow cannot use a database below a folder with '?' or '%' in its name: {text}")
    return f"sqlite:///{text}"


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite URI, None for any other."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").split("?")[0]).absolute()


def shown(database: Path) -> str:
    """Return the database's path as messages show it: `mlruns/mlflow.db`."""
    return f"{database.parent.name}/{database.name}"


def lock_timeout() -> float:
    """Return how many seconds to wait for another program's lock. Errors: InputError."""
    named = os.environ.get("RUNBACK_LOCK_TIMEOUT", str(LOCK_TIMEOUT))
    try:
        return float(named)
    except ValueError:
        raise InputError(f"RUNBACK_LOCK_TIMEOUT must be a number of seconds; got {named!r}") from None


@contextlib.contextmanager
def readable_errors(database: Path) -> Iterator[None]:
    """Turn what sqlite3 raises into a StoreError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise StoreError(
                f"{shown(database)} is locked by another program (waited {lock_timeout():g} s): "
                "end it, then try again"
            ) from error
        raise StoreError(f"{shown(database)} cannot be used: {error}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{shown(database)} is damaged or no SQLite database ({error}): move it away to start afresh"
        ) from error
