"""A sweep's part in a study that others share: its connection, its owner's name, its leases, its folder."""

import contextlib
import hashlib
import platform
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from optuna.study import Study

from runback.errors import InputError
from runback.sweeping.shared.claims import SharedStudy
from runback.sweeping.shared.leases import Heartbeat
from runback.sweeping.shared.outlasting import outlast
from runback.sweeping.shared.shared_storage_internals import MAKING, SharedStorage, connected
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.shared.study_database import PATIENCE, open_storage
from runback.sweeping.shared.study_pointer import read_pointer
from runback.system.files.folder_lock import alone_in
from runback.system.text.terminal import say

MEMBERS = 1000
"""Coordinators that may have one folder."""


@dataclass(frozen=True)
class Sharing:
    """What a coordinator has of a shared study's database."""

    url: StorageUrl
    storage: SharedStorage
    heartbeat: Heartbeat
    owner: str
    lease: float

    def has_study(self, name: str) -> bool:
        """Tell whether the database has a study of this name."""
        try:
            self.storage.get_study_id_from_name(name)
        except KeyError:
            return False
        return True

    def claims(self, study: Study) -> SharedStudy:
        """Return the claims on a study's trials."""
        return SharedStudy(study, self.owner, self.heartbeat, self.lease)

    @contextlib.contextmanager
    def creating(self, name: str) -> Iterator[None]:
        """Keep others from making a study of this name in this block, unless there is one."""
        if self.has_study(name):
            yield
            return
        connect = partial(connected, self.url, autocommit=True)
        key = (MAKING, int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], signed=True))
        with contextlib.closing(outlast(connect, lambda: PATIENCE)) as connection:
            if connection.execute("SELECT pg_try_advisory_lock(%s, %s)", key).fetchone() != (True,):
                say("another coordinator is making this study: waiting for it")
                connection.execute("SELECT pg_advisory_lock(%s, %s)", key)
            yield


@contextlib.contextmanager
def opened(url: StorageUrl, lease: float) -> Iterator[Sharing]:
    """Open the database of shared studies. Errors: InputError, StoreAway."""
    storage = open_storage(url)
    storage.patience = PATIENCE
    owner = f"{platform.node()} {secrets.token_hex(8)}"
    heartbeat = Heartbeat(url, owner, lease)
    try:
        yield Sharing(url, storage, heartbeat, owner, lease)
    finally:
        heartbeat.close()
        storage.engine.dispose()


def refuse_other_place(folder: Path, url: StorageUrl | None, name: str, *, has_file: bool) -> None:
    """Raise InputError where the study of the sweep in `folder` is not where it was asked for."""
    known = read_pointer(folder)
    if url is None and known is not None:
        raise InputError(
            f"the study of sweep {name} is in PostgreSQL: give hydra.sweeper.storage={known}, or start a "
            "fresh one with --new"
        )
    if url is not None and has_file:
        raise InputError(
            f"sweep {name} has a study in {folder}: to start one in PostgreSQL: --new (or hydra.sweeper.name)"
        )
    if url is not None and known is not None and known.database != url.database:
        raise InputError(
            f"the study of sweep {name} is in {known.label}, not in {url.label}; to start a fresh one: --new"
        )


def refuse_lost(folder: Path, url: StorageUrl, name: str, *, has_study: bool) -> None:
    """Raise InputError where a sweep has begun in `folder` whose study this server does not have."""
    if not has_study and read_pointer(folder) is not None:
        raise InputError(
            f"{folder} is of a sweep whose study is in a database, and {url.label} has no study {name}: give "
            "that server's address, or start a fresh one with --new"
        )


@contextlib.contextmanager
def own_folder(folder: Path, name: str) -> Iterator[Path]:
    """Hold a folder for a coordinator's own files: the sweep's, or one in it where others have that.

    Several machines may see one folder of a sweep.
    """
    with contextlib.ExitStack() as held:
        for one in (folder, *(folder / f"member-{number}" for number in range(2, MEMBERS))):
            try:
                held.enter_context(alone_in(one, f"sweep {name}"))
            except InputError as error:
                if "already running" not in str(error):
                    raise
                continue
            yield one
            return
        raise InputError(f"{folder} has {MEMBERS} coordinators already")
