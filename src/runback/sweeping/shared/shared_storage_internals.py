"""Optuna's storage over one connection to PostgreSQL, which outlives a restart of the server.

It overrides methods that Optuna's cache calls on its backend:
tests/sweeping/shared/test_shared_storage.py fails when Optuna has others.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import psycopg
from optuna.storages import RDBStorage
from sqlalchemy import event, text
from sqlalchemy.pool import NullPool

from runback.sweeping.shared.outlasting import LockLost, outlast
from runback.sweeping.shared.storage_url import StorageUrl

T = TypeVar("T")

LOCKS = 0x52554E42
"""The first key of the advisory locks on studies; the second is a study's ID, or OPENING."""

MAKING = LOCKS + 1
"""The first key of the locks under which studies are made; the second is of a study's name."""

OPENING = 0
"""The second key of the lock under which tables are made: no study has this ID."""

HOLDER_IDLE = 300_000
"""Milliseconds after which the server ends a session that holds a lock and does nothing: it may be proposing.

One whose machine is gone ends sooner, by KEEPALIVES."""

KEEPALIVES = """
    SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
        set_config('tcp_keepalives_count', '3', false)
"""
"""Has the server end a session, and let go of its locks, when the client's machine is not there any more."""

RETRIED = (
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial",
    "get_trial_id_from_study_id_trial_number",
    "_get_trials",
)
"""Methods that may be done twice: those that read, and those that set something to a value."""


class SharedStorage(RDBStorage):
    """A study's storage in PostgreSQL. While the database is away its methods wait, for `patience` seconds.

    All that a thread does goes over one connection. What is done by `exclusively` is done under an advisory
    lock of that connection: where the connection is lost in between, nothing more is written, and all of it
    is done again under a new lock.
    """

    def __init__(self, url: StorageUrl, *, is_new: bool = False, is_read: bool = False) -> None:
        """Connect; with `is_new` make the tables that lack. One that `is_read` keeps no connection open.

        Errors: SQLAlchemy's, psycopg's.
        """
        self.patience = 0.0
        self.wait: Callable[[float], Any] = time.sleep
        """Waits while the database is away."""
        self._held: Any = None  # the connection that holds a lock
        one: dict[str, Any] = {"pool_size": 1, "max_overflow": 1, "pool_timeout": 3600.0}
        pool = {"poolclass": NullPool} if is_read else one
        creator = partial(psycopg.connect, **url.connection) if is_read else partial(connected, url)
        super().__init__(
            "postgresql+psycopg://", {"creator": creator, **pool}, skip_table_creation=not is_new
        )
        event.listen(self.engine, "checkout", self._refuse_other_connection)

    def exclusively(self, key: int, call: Callable[[], T]) -> T:
        """Return what `call` returns, which nobody else does at the same time under a lock of this `key`.

        It may be called again where the connection was lost. Within it, this calls `call` alone.
        """
        if self._held is not None:
            return call()
        return outlast(partial(self._locked, key, call), lambda: self.patience, self.wait)

    def execute(self, statement: str, values: dict[str, Any]) -> list[Any]:
        """Run a statement of our own; return its rows."""

        def run() -> list[Any]:
            with self.engine.begin() as connection:
                done = connection.execute(text(statement), values)
                return [*done.fetchall()] if done.returns_rows else []

        return self._again(run)

    def _locked(self, key: int, call: Callable[[], T]) -> T:
        lock = "SELECT set_config('idle_session_timeout', :idle, false), pg_advisory_lock(:locks, :key)"
        with self.engine.begin() as connection:
            connection.execute(text(lock), {"idle": str(HOLDER_IDLE), "locks": LOCKS, "key": key})
            held = connection.connection.dbapi_connection
        self._held = held
        try:
            done = call()
        except BaseException:
            self._unlock(key)
            raise
        self._unlock(key)
        return done

    def _unlock(self, key: int) -> None:
        """Let go of the lock; where that fails, the connection goes, and the lock with it."""
        unlock = "SELECT pg_advisory_unlock(:locks, :key), set_config('idle_session_timeout', '0', false)"
        try:
            with self.engine.begin() as connection:
                connection.execute(text(unlock), {"locks": LOCKS, "key": key})
        except Exception:  # what was done is done
            self._held = None
            self.engine.dispose()
        finally:
            self._held = None

    def _refuse_other_connection(self, connection: Any, *_: Any) -> None:
        if self._held is not None and connection is not self._held:
            raise LockLost("the connection to the study's database was lost")

    def _again(self, call: Callable[[], T]) -> T:
        return call() if self._held is not None else outlast(call, lambda: self.patience, self.wait)


def connected(url: StorageUrl, **more: Any) -> "psycopg.Connection[Any]":
    """Return a connection that may hold locks. Errors: psycopg's."""
    connection: psycopg.Connection[Any] = psycopg.connect(**url.connection, **more)
    connection.execute(KEEPALIVES)
    connection.commit()
    return connection


def _retried(name: str) -> Callable[..., Any]:
    own = getattr(RDBStorage, name)

    def method(self: SharedStorage, *arguments: Any, **named: Any) -> Any:
        return self._again(partial(own, self, *arguments, **named))

    return method


for _name in RETRIED:
    setattr(SharedStorage, _name, _retried(_name))
