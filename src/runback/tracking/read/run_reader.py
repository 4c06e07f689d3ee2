"""Opens whatever keeps the runs, to read many of them at once."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from runback.errors import InputError, StoreError
from runback.tracking.layout import Layout, store_uri
from runback.tracking.read.rows import EpochTable, Runs
from runback.tracking.sqlite import database_reader
from runback.tracking.sqlite.database_schema import refuse_unknown, schema_revision
from runback.tracking.sqlite.sqlite_file import connected, file_of, printable_path


class Reader(Protocol):
    """Reads many runs at once; deleted ones are not there."""

    @property
    def mlruns(self) -> Path:
        """The folder that holds all that is read."""

    def of_sweep(self, sweep: str) -> list[str]:
        """Return the IDs of the runs of a sweep's trials, the oldest first, one a trial.

        That is without those that another run of the same trial is in the place of. Errors: StoreError.
        """

    def find(self, run_id: str) -> str:
        """Return the ID of the run whose ID begins like this. Errors: InputError, StoreError."""

    def runs(self, ids: list[str]) -> Runs:
        """Return these runs, in this order. Errors: StoreError."""

    def curves(self, ids: list[str]) -> EpochTable:
        """Return all metrics of all epochs of these runs, in the order of runs and epochs. StoreError."""


@contextlib.contextmanager
def open_reader(layout: Layout) -> Iterator[Reader]:
    """Open the store that runs are recorded in, to read it; a SQLite database without importing MLflow.

    A database of a newer schema than runback's SQL knows is read through MLflow's client. None is migrated:
    see `database_schema`. Errors: InputError where there is no database yet, StoreError.
    """
    layout.refuse_links()
    database = file_of(store_uri(layout))
    if database is None:
        yield _store_reader(layout)
        return
    if not database.exists():
        raise InputError(f"there are no runs yet: {printable_path(database)} does not exist")
    with database_reader.reading(database, layout.mlruns) as reader:
        if reader is not None:
            yield reader
            return
    _refuse_migration(database)
    yield _store_reader(layout)


def _refuse_migration(database: Path) -> None:
    """Raise StoreError where MLflow's client does not know a database's schema, or would migrate it."""
    from runback.tracking.mlflow_internals import newest_revision

    with connected(database, read_only=True) as connection:
        revision = schema_revision(connection)
    refuse_unknown(database, revision)
    if revision != newest_revision():
        raise StoreError(
            f"{printable_path(database)} has schema {revision}, older than the installed MLflow's: the next "
            "training brings it up to date, after a backup"
        )


def _store_reader(layout: Layout) -> Reader:
    from runback.tracking.read.store_reader import StoreReader
    from runback.tracking.store import open_store

    return StoreReader(open_store(layout))
