"""The version of an MLflow database's schema, read without MLflow, which takes seconds to import.

runback's own SQL reads, and after a move rewrites, MLflow's tables. It was written for one version of their
schema, `REVISION`. What it does with another one:

- an older one it reads and rewrites as well: the columns that it names have been there since long before, and
  the only other way, MLflow's client, would migrate the database for a command that only reads;
- a newer one, or one that nobody here knows, it neither reads nor rewrites, as nothing says that the columns
  still mean the same. Runs are then read through MLflow's client, which refuses what it does not know.

tests/tracking/test_mlflow_internals.py fails when MLflow's newest version is another than `REVISION`.
"""

import re
import sqlite3
from pathlib import Path

from runback.errors import StoreError
from runback.tracking.sqlite.sqlite_file import connected, printable_path

MIGRATIONS = "mlflow/store/db_migrations/versions"
"""The folder in MLflow with a file for each version of the schema, whose name begins with it."""

REVISION = "dc11669786a5"
"""The version of the schema that runback's SQL was written for: MLflow 3.17's."""

_STEP = re.compile(r"^(down_revision|revision)(?:: *[^=]+)? *= *[\"'](\w+)[\"']", re.MULTILINE)
"""The line in such a file with its own version, or the one before it."""


def refuse_unknown(database: Path, revision: str | None) -> None:
    """Raise StoreError when the installed MLflow does not know this version of its schema.

    Raises importlib.metadata.PackageNotFoundError where MLflow is not installed.
    """
    revisions = {path.name.partition("_")[0] for path in _migrations()}
    if revision not in revisions:
        from importlib.metadata import version

        raise StoreError(
            f"{printable_path(database)} has schema {revision}, which MLflow {version('mlflow')} does not "
            "know: install the MLflow version that wrote it"
        )


def schema_revision(connection: sqlite3.Connection) -> str | None:
    """Return the version of a database's schema; None where it says none, as when it is not MLflow's."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def is_readable(revision: str | None) -> bool:
    """Return whether runback's SQL may be used: on `REVISION`, an older one, or where none is said.

    A database without a version is none of MLflow's, and the SQL says what it lacks.
    """
    return revision in (None, REVISION) or revision in _older()


def refuse_unreadable(database: Path, connection: sqlite3.Connection) -> None:
    """Raise StoreError where runback's SQL does not know the schema of a database that it is to change."""
    revision = schema_revision(connection)
    if not is_readable(revision):
        raise StoreError(
            f"{printable_path(database)} has schema {revision}, which this runback does not know how to "
            f"change; expected {REVISION} or an older one: install the runback version that goes with it"
        )


def any_running(database: Path) -> bool:
    """Return whether any run is RUNNING, or SCHEDULED: paused. Raises StoreError."""
    with connected(database) as connection:
        sql = "SELECT 1 FROM runs WHERE status IN ('RUNNING', 'SCHEDULED') LIMIT 1"
        row = connection.execute(sql).fetchone()
    return row is not None


def _migrations() -> list[Path]:
    from importlib.metadata import distribution  # it imports much

    return list(Path(str(distribution("mlflow").locate_file(MIGRATIONS))).glob("*.py"))


def _older() -> set[str]:
    """Return the versions that the installed MLflow had before `REVISION`."""
    steps = [dict(_STEP.findall(path.read_text("utf-8"))) for path in _migrations()]
    before = {step["revision"]: step.get("down_revision") for step in steps if "revision" in step}
    older: set[str] = set()
    at = before.get(REVISION)
    while at is not None and at not in older:
        older.add(at)
        at = before.get(at)
    return older
