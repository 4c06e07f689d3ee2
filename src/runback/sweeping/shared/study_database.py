"""The database of shared studies: opened, prepared once, asked for the studies that it has."""

import importlib.util
from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError

from runback.errors import InputError, StoreAway
from runback.sweeping.shared.leases import TABLE
from runback.sweeping.shared.outlasting import is_away, outlast, reason
from runback.sweeping.shared.shared_storage_internals import LOCKS, OPENING, SharedStorage, connected
from runback.sweeping.shared.storage_url import ADVICE, StorageUrl

T = TypeVar("T")

OLDEST = 140_000
"""The oldest version of PostgreSQL that can be used: the first that ends sessions that hold a lock idly."""

PATIENCE = 600.0
"""Seconds for which a sweep goes on without its study's database."""

OPENING_PATIENCE = 15.0
"""Seconds for which a command waits for a database that is away, as it is while it is started again."""

CONFIRM = ":confirm"
"""Ends the name of the study of a sweep's confirm stage."""


def refuse_without_driver() -> None:
    """Raise InputError where psycopg is missing."""
    if importlib.util.find_spec("psycopg") is None:
        raise InputError("a study in PostgreSQL needs psycopg: pip install 'runback[postgresql]'")


def open_storage(url: StorageUrl) -> SharedStorage:
    """Return the storage of shared studies, its tables made if need be. Errors: InputError, StoreAway."""
    return _connected(url, lambda: _prepared(url))


def read_storage(url: StorageUrl) -> SharedStorage:
    """Return the storage, to read studies: nothing is made. Errors: InputError, StoreAway."""
    return _connected(url, lambda: SharedStorage(url, is_read=True))


def study_names(url: StorageUrl) -> list[str]:
    """Return the names of the sweeps whose studies a database has. Errors: InputError, StoreAway."""
    storage = read_storage(url)
    names = [one.study_name for one in _connected(url, storage.get_all_studies)]
    return sorted(name for name in names if not name.endswith(CONFIRM))


def _prepared(url: StorageUrl) -> SharedStorage:
    with closing(connected(url, autocommit=True)) as connection:
        if connection.info.server_version < OLDEST:
            version = connection.info.server_version // 10_000
            raise InputError(f"{url.label} is PostgreSQL {version}; expected 14 or newer")
        if connection.execute("SELECT to_regclass('experiments')").fetchone() != (None,):
            raise InputError(f"{url.label} is MLflow's database: studies need one of their own")
        if connection.execute("SELECT to_regclass('runback_leases')").fetchone() != (None,):
            return SharedStorage(url)
        # Of several processes at once one makes the tables, ours last; the lock goes with the connection.
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (LOCKS, OPENING))
        connection.execute("SET client_min_messages = warning")
        storage = SharedStorage(url, is_new=True)
        connection.execute(TABLE)
        return storage


def _connected(url: StorageUrl, call: Callable[[], T]) -> T:
    """Return what `call` returns; turn what keeps a database from being used into one line."""
    import psycopg

    refuse_without_driver()
    try:
        return outlast(call, lambda: OPENING_PATIENCE)
    except (psycopg.Error, DBAPIError, StorageInternalError) as error:
        text = reason(error)
        if "authentication method requirement" in text:
            raise InputError(
                f"{url.label}, which a file names, asks for a password in a way that gives it away; expected "
                "scram-sha-256"
            ) from None
        if "no password supplied" in text or "authentication failed" in text:
            raise InputError(f"{url.label} wants another password; {ADVICE}") from None
        if "runback_leases" in text or ("does not exist" in text and "relation" in text):
            raise InputError(f"the database {url.label} has no sweep") from None
        kind = StoreAway if is_away(error) else InputError
        raise kind(f"cannot use the study in {url.label}: {text}") from None
