"""Leases on the trials of a shared study: who runs which, and until when that is believed without news.

A row of `runback_leases`, a table beside Optuna's, is a lease: its trial is run by `owner`, until `expires`
at least. All times are the database's; after a restart of the server nobody's lease has expired before a
whole one is over. Rows are written under the study's lock, but for the renewals of a `Heartbeat`.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

import psycopg

from runback.sweeping.shared.outlasting import is_away, reason
from runback.sweeping.shared.shared_storage_internals import SharedStorage
from runback.sweeping.shared.storage_url import StorageUrl

TABLE = """
CREATE TABLE IF NOT EXISTS runback_leases (
    study_id integer NOT NULL, trial integer NOT NULL, owner text NOT NULL, expires timestamptz NOT NULL,
    seconds double precision NOT NULL, PRIMARY KEY (study_id, trial))
"""

ENDING = -1
"""In the place of a trial's number: the lease on writing the sweep's end."""

BEATS = 6
"""Renewals in the time of a lease."""

_EXPIRED = """
runback_leases.expires < clock_timestamp()
AND clock_timestamp() > pg_postmaster_start_time() + make_interval(secs => runback_leases.seconds)
"""

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that goes on while the machine sleeps, as the database's does."""

_logger = logging.getLogger(__name__)


class Leases:
    """The leases of one study, as one owner sees them. What writes is called under the study's lock."""

    def __init__(self, storage: SharedStorage, study: int, owner: str = "", seconds: float = 0.0) -> None:
        """Whoever only looks has no name."""
        self._storage, self._study = storage, study
        self.owner, self.seconds = owner, seconds

    def take(self, trial: int) -> bool:
        """Make a trial the owner's, unless it is somebody else's who may live; return whether it is."""
        statement = f"""
            INSERT INTO runback_leases VALUES
                (:study, :trial, :owner, clock_timestamp() + make_interval(secs => :seconds), :seconds)
            ON CONFLICT (study_id, trial) DO UPDATE
            SET owner = excluded.owner, expires = excluded.expires, seconds = excluded.seconds
            WHERE runback_leases.owner = excluded.owner OR ({_EXPIRED})
            RETURNING trial
        """  # noqa: S608 - no value is in it
        return bool(self._do(statement, trial=trial))

    def release(self, trial: int) -> None:
        """Let go of a trial, if it is the owner's."""
        statement = "DELETE FROM runback_leases WHERE study_id = :study AND trial = :trial AND owner = :owner"
        self._do(statement, trial=trial)

    def release_all_but(self, running: Collection[int]) -> None:
        """Remove the leases on other trials than these, which a kill has left; and the owner's on the end."""
        statement = """
            DELETE FROM runback_leases
            WHERE study_id = :study AND trial <> ALL(:running) AND (trial <> :ending OR owner = :owner)
        """
        self._do(statement, running=[*running], ending=ENDING)

    def is_own(self, trial: int) -> bool:
        """Tell whether a trial is the owner's, by what the database has now."""
        statement = (
            "SELECT 1 FROM runback_leases WHERE study_id = :study AND trial = :trial AND owner = :owner"
        )
        return bool(self._do(statement, trial=trial))

    def held(self) -> dict[int, str]:
        """Return who holds which trials, those left out whose holders are not heard of any more."""
        statement = f"SELECT trial, owner FROM runback_leases WHERE study_id = :study AND NOT ({_EXPIRED})"  # noqa: S608
        return {int(trial): str(owner) for trial, owner in self._do(statement)}

    def _do(self, statement: str, **values: Any) -> list[Any]:
        known = {"study": self._study, "owner": self.owner, "seconds": self.seconds}
        return self._storage.execute(statement, {**known, **values})


class Heartbeat:
    """Renews an owner's leases in a thread with a connection of its own, and says which ones were lost."""

    def __init__(self, url: StorageUrl, owner: str, seconds: float) -> None:
        self._url, self._owner, self._seconds = url, owner, seconds
        self._held: dict[tuple[int, int], float] = {}  # study and trial: this machine's time of the renewal
        self._lost: set[tuple[int, int]] = set()
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, name="runback leases", daemon=True)
        self._thread.start()

    def hold(self, study: int, trial: int) -> None:
        """Renew a lease that was just taken, from now on."""
        with self._lock:
            self._held[study, trial] = _now()
            self._lost.discard((study, trial))

    def drop(self, study: int, trial: int) -> None:
        """Renew a lease no more."""
        with self._lock:
            self._held.pop((study, trial), None)
            self._lost.discard((study, trial))

    def is_lost(self, study: int, trial: int) -> bool:
        """Tell whether somebody else has taken a trial over."""
        with self._lock:
            return (study, trial) in self._lost

    def age(self, study: int, trial: int) -> float:
        """Return the seconds, by this machine's clock, since a lease was renewed for sure."""
        with self._lock:
            return _now() - self._held.get((study, trial), -math.inf)

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join(timeout=1)  # a daemon: where the network hangs it ends with the process

    def _beat(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while not self._end.wait(self._seconds / BEATS):
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(**self._url.connection, autocommit=True)
                self._renew(connection)
            except psycopg.Error as error:
                if not is_away(error):
                    _logger.warning("the leases of this sweep's trials are not renewed: %s", reason(error))
                if connection is not None:
                    with contextlib.suppress(psycopg.Error):
                        connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _renew(self, connection: "psycopg.Connection[Any]") -> None:
        with self._lock:
            asked = {**self._held}
        if not asked:
            return
        began = _now()
        statement = """
            UPDATE runback_leases SET expires = clock_timestamp() + make_interval(secs => %s)
            WHERE owner = %s AND (study_id, trial) IN (SELECT * FROM unnest(%s::int[], %s::int[]))
            RETURNING study_id, trial
        """
        columns = [[study for study, _ in asked], [trial for _, trial in asked]]
        rows = connection.execute(statement, (self._seconds, self._owner, *columns)).fetchall()
        self._note(asked, {(int(study), int(trial)) for study, trial in rows}, began)

    def _note(
        self, asked: Iterable[tuple[int, int]], renewed: Collection[tuple[int, int]], began: float
    ) -> None:
        with self._lock:
            for one in asked:
                if one not in self._held:  # it was released meanwhile
                    continue
                if one in renewed:
                    self._held[one] = max(self._held[one], began)
                elif self._held[one] < began:  # else it was taken after the statement
                    del self._held[one]
                    self._lost.add(one)


def _now() -> float:
    return time.clock_gettime(_CLOCK)
