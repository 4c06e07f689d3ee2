"""Artifacts' places after the project was moved: MLflow keeps each one as an absolute path."""

import datetime
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runback.errors import StoreError
from runback.tracking.sqlite.database_schema import refuse_unreadable
from runback.tracking.sqlite.sqlite_file import back_up, connected, printable_path

COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),  # of traces that have artifacts: mlflow.artifactLocation
)
"""The columns of MLflow's schema that hold artifacts' places."""

ARTIFACTS = "artifacts"
"""The folder in every mlruns/ with one folder an experiment (see `tracking.layout`)."""


@dataclass(frozen=True)
class StalePath:
    """One row that names an artifact's place below an mlruns/ that is elsewhere."""

    table: str
    column: str
    row: int
    old: Path
    """The mlruns/ before the move."""
    location: str
    """The artifact's present place, in the form that MLflow had it in."""


def home(location: str | None) -> Path | None:
    """Return the mlruns/ in which an experiment keeps its artifacts; None where it is no folder like that."""
    path = local_path(location or "")
    return path.parent.parent if path is not None and path.parent.name == ARTIFACTS else None


def local_path(location: str) -> Path | None:
    """Return the path of a local artifact location; None for any other, and for one of several meanings.

    MLflow decodes a location once or twice, also where it is a plain path: one that then names another place
    names none.
    """
    path = location
    if location.startswith("file:"):
        parts = urlsplit(location)
        path = unquote(parts.path) if parts.netloc in ("", "localhost") else ""
    if not path.startswith("/") or path.startswith("//") or unquote(path) != path:
        return None
    return Path(path)


def refuse_moved(location: str, mlruns: Path) -> None:
    """Raise StoreError when an experiment's artifacts were moved here: new ones would go where they were."""
    old, path = home(location), local_path(location)
    if old is not None and path is not None and _is_stale(old, mlruns, path.name):
        raise StoreError(
            f"the project was moved, and MLflow still looks for its artifacts in {old}: "
            "`runback doctor --fix` rewrites the paths"
        )


def stale_places(database: Path, mlruns: Path) -> list[StalePath]:
    """Return the rows of MLflow's database that say where artifacts were before the project was moved here.

    That is: below the mlruns/ of an experiment which is gone, while the experiment's artifacts are in this
    one. Raises StoreError.
    """
    with connected(database) as connection:
        return _stale(connection, mlruns)


def foreign_homes(database: Path, mlruns: Path) -> list[Path]:
    """Return other projects' mlruns/ that exist, and in which this database's experiments keep artifacts."""
    with connected(database) as connection:
        return sorted(one for one in _homes(connection) if one != mlruns and one.exists())


def rewrite(database: Path, mlruns: Path) -> tuple[int, Path]:
    """Let all stale rows name the present place; return how many, and the copy of the database made before.

    All of them or, whatever happens meanwhile, none. Raises StoreError, also for a schema that is newer than
    what this SQL knows (see `database_schema`).
    """
    with connected(database, read_only=True) as connection:
        refuse_unreadable(database, connection)
    now = datetime.datetime.now().astimezone()
    try:
        backup = back_up(database, f"{now:%Y-%m-%d_%H-%M-%S}")
        with connected(database) as connection:
            connection.execute("BEGIN IMMEDIATE")
            places = _stale(connection, mlruns)
            for place in places:
                connection.execute(
                    f"UPDATE {place.table} SET {place.column} = ? WHERE rowid = ?",  # noqa: S608 - our names
                    (place.location, place.row),
                )
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"cannot rewrite the paths in {printable_path(database)}: {error}") from error
    return len(places), backup


def _is_stale(old: Path, mlruns: Path, experiment: str) -> bool:
    return old != mlruns and not old.exists() and (mlruns / ARTIFACTS / experiment).is_dir()


def _homes(connection: sqlite3.Connection) -> dict[Path, set[str]]:
    """Return each mlruns/ in which experiments keep their artifacts, with the names of their folders."""
    homes: dict[Path, set[str]] = {}
    for (location,) in connection.execute("SELECT artifact_location FROM experiments"):
        place, path = home(location), local_path(location or "")
        if place is not None and path is not None:
            homes.setdefault(place, set()).add(path.name)
    return homes


def _stale(connection: sqlite3.Connection, mlruns: Path) -> list[StalePath]:
    gone = [
        old
        for old, experiments in _homes(connection).items()
        if any(_is_stale(old, mlruns, experiment) for experiment in experiments)
    ]
    return [place for old in gone for place in _below(connection, old, mlruns)]


def _below(connection: sqlite3.Connection, old: Path, mlruns: Path) -> Iterator[StalePath]:
    """Find the rows below an mlruns/, in either form that MLflow has for a local path."""
    for table, column in COLUMNS:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
            continue
        rows = connection.execute(
            f"SELECT rowid, {column} FROM {table} WHERE {column} LIKE 'file:%' OR {column} LIKE '/%'"  # noqa: S608
        )
        for row, location in rows.fetchall():
            path = local_path(location)
            if path is not None and path.is_relative_to(old / ARTIFACTS):
                now = mlruns / path.relative_to(old)
                yield StalePath(
                    table, column, row, old, now.as_uri() if location.startswith("file:") else str(now)
                )
