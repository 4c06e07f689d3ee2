"""Reads many runs straight from MLflow's SQLite database: one query a table, and without importing MLflow."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from runback.errors import InputError, StoreError
from runback.tracking.read.rows import SYSTEM, EpochTable, Runs, as_curves, columns
from runback.tracking.read.run_id import beginning, the_only
from runback.tracking.sqlite.database_schema import is_readable, schema_revision
from runback.tracking.sqlite.sqlite_file import connected, printable_path, sqlite_uri
from runback.tracking.tags import KIND_TAG, RETRY_TAG, SWEEP_TAG
from runback.tracking.upkeep.restoring import deleted_run

OF_SWEEP = """
    SELECT runs.run_uuid FROM tags AS sweep
    JOIN runs USING (run_uuid)
    JOIN tags AS kind ON kind.run_uuid = runs.run_uuid AND kind.key = :kind AND kind.value = 'train'
    WHERE sweep.key = :sweep AND sweep.value = :name AND runs.lifecycle_stage = 'active'
        AND runs.run_uuid NOT IN (SELECT value FROM tags WHERE key = :retry)
    ORDER BY runs.start_time, runs.run_uuid
"""

DELETED = """
    SELECT run_uuid, experiment_id, experiments.lifecycle_stage
    FROM runs JOIN experiments USING (experiment_id)
    WHERE runs.lifecycle_stage = 'deleted' AND run_uuid LIKE ? LIMIT 1
"""

# CROSS JOIN keeps SQLite from going through the other table first.
RUNS = """
    SELECT run_uuid, name, status, start_time, end_time, artifact_uri
    FROM wanted CROSS JOIN runs USING (run_uuid) ORDER BY position
"""
PARAMS = "SELECT position, key, value FROM wanted CROSS JOIN params USING (run_uuid)"
TAGS = "SELECT position, key, value FROM wanted CROSS JOIN tags USING (run_uuid)"
METRICS = """
    SELECT position, key, value, step, is_nan
    FROM wanted CROSS JOIN latest_metrics USING (run_uuid)
"""
POINTS = """
    SELECT position, step, key, value, is_nan FROM wanted CROSS JOIN metrics USING (run_uuid)
    WHERE step > 0 AND substr(key, 1, :length) <> :system
"""


NONE = type(None)
Kind = frozenset[type]
NAME: Kind = frozenset({str})
TEXT: Kind = frozenset({str, NONE})
WHOLE: Kind = frozenset({int})
TIME: Kind = frozenset({int, NONE})
NUMBER: Kind = frozenset({int, float})
FLAG: Kind = frozenset({int, NONE})
"""The types of values that MLflow puts into its columns: SQLite takes any in each."""

MOST = 2**43
"""A bound that no step reaches, and no time in ms until 2248: pandas' times end soon after."""


class DatabaseReader:
    """Reads a consistent state of the database, also while others write to it."""

    def __init__(self, database: Path, mlruns: Path, connection: sqlite3.Connection) -> None:
        self.mlruns = mlruns
        self._database = database
        self._connection = connection

    def of_sweep(self, sweep: str) -> list[str]:
        """Return the IDs of a sweep's runs, see `Reader`."""
        named = {"kind": KIND_TAG, "sweep": SWEEP_TAG, "retry": RETRY_TAG, "name": sweep}
        return [run_id for (run_id,) in self._connection.execute(OF_SWEEP, named)]

    def find(self, run_id: str) -> str:
        """Return the ID that begins like this, see `Reader`."""
        query = "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND run_uuid LIKE ? LIMIT 100"
        named = [f"{beginning(run_id)}%"]
        rows = self._connection.execute(query, named).fetchall()
        if not rows:
            self._refuse_deleted(named)
        return str(the_only(rows, run_id, sqlite_uri(self._database))[0])

    def _refuse_deleted(self, named: list[str]) -> None:
        for run_id, experiment, stage in self._connection.execute(DELETED, named).fetchall():
            went_with = None if stage == "active" else str(experiment)
            raise InputError(deleted_run(sqlite_uri(self._database), str(run_id), went_with))

    def runs(self, ids: list[str]) -> Runs:
        """Return these runs, see `Reader`."""
        self._want(ids)
        facts = zip(*self._rows(RUNS, TEXT, TEXT, TEXT, TIME, TIME, TEXT), strict=True)
        run_ids, names, statuses, starts, ends, uris = (list(column) for column in facts)
        metrics, epochs = self._metrics(len(ids))
        return Runs(
            *(run_ids, names, statuses, starts, ends, uris, epochs),
            params=self._texts(PARAMS, len(ids)),
            metrics=metrics,
            tags=self._texts(TAGS, len(ids)),
        )

    def curves(self, ids: list[str]) -> EpochTable:
        """Return the metrics of all epochs, see `Reader`."""
        self._want(ids)
        cut = {"system": SYSTEM, "length": len(SYSTEM)}
        rows = self._rows(POINTS, WHOLE, WHOLE, NAME, NUMBER, FLAG, **cut)
        nan = float("nan")
        return as_curves([(*place, nan if is_nan else value) for *place, value, is_nan in rows])

    def _want(self, ids: list[str]) -> None:
        """Make these the runs that the queries are about."""
        self._connection.execute("DELETE FROM wanted")
        self._connection.executemany("INSERT INTO wanted VALUES (?, ?)", enumerate(ids))

    def _rows(self, query: str, *kinds: Kind, **given: object) -> list[tuple]:
        """Return what a query finds; StoreError where a column holds what MLflow never puts there."""
        rows = self._connection.execute(query, given).fetchall()
        for values, kind in zip(zip(*rows, strict=True), kinds, strict=False):
            if not kind.issuperset(map(type, values)):
                wrong = next(value for value in values if type(value) not in kind)
                self._refuse(kind, wrong)
            if int in kind and float not in kind:
                numbers = [value for value in values if value is not None]
                if numbers and max(max(numbers), -min(numbers)) >= MOST:
                    self._refuse(kind, max(numbers, key=abs))
        return rows

    def _refuse(self, kind: Kind, wrong: object) -> None:
        number = "a number" if float in kind else f"a number below {MOST:,}"
        raise StoreError(
            f"{printable_path(self._database)} is damaged: expected {'a text' if str in kind else number}, "
            f"got {wrong!a:.50}; put a backup in its place"
        )

    def _texts(self, query: str, length: int) -> dict[str, list[str | None]]:
        texts = columns(length)
        for position, key, value in self._rows(query, WHOLE, NAME, TEXT):
            texts[key][position] = value
        return dict(texts)

    def _metrics(self, length: int) -> tuple[dict[str, list[float | None]], list[int | None]]:
        newest, epochs, nan = columns(length), [0] * length, float("nan")
        for position, key, value, step, is_nan in self._rows(METRICS, WHOLE, NAME, NUMBER, WHOLE, FLAG):
            newest[key][position] = nan if is_nan else value
            if step > epochs[position] and not key.startswith(SYSTEM):
                epochs[position] = step
        return dict(newest), [epoch or None for epoch in epochs]


@contextlib.contextmanager
def reading(database: Path, mlruns: Path) -> Iterator[DatabaseReader | None]:
    """Open the database to read it; None where its schema is none that these queries are for.

    Errors: StoreError, also while it is read.
    """
    with connected(database, read_only=True) as connection:
        if not is_readable(schema_revision(connection)):
            yield None
            return
        connection.execute("CREATE TEMP TABLE wanted (position INTEGER PRIMARY KEY, run_uuid TEXT)")
        connection.execute("BEGIN")
        yield DatabaseReader(database, mlruns, connection)
