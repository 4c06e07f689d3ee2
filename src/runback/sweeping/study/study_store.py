"""A sweep's study on disk: opened by one coordinator, read by anyone."""

import contextlib
import math
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import BasePruner, NopPruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from runback.errors import DiskFull, InputError, RunbackError, StoreAway, StoreError
from runback.sweeping.shared.outlasting import LockLost
from runback.sweeping.shared.shared_storage_internals import SharedStorage
from runback.sweeping.shared.storage_url import StorageUrl
from runback.sweeping.shared.study_database import read_storage
from runback.sweeping.shared.study_pointer import POINTER, read_pointer
from runback.sweeping.space.search_identity import Search, refuse_other
from runback.sweeping.study.attributes import SEARCH
from runback.sweeping.study.optuna_internals import close_connections, storage_of, study_id, trial_id
from runback.sweeping.study.stored_choices import extend_choices
from runback.system.config import targets
from runback.system.files.full_disk import is_full
from runback.system.secrecy import redacted
from runback.tracking.sqlite.sqlite_file import make, refuse_strange

STUDY = "study.db"
"""The study's file in the sweep's folder."""

LOCK_TIMEOUT = 15
"""Seconds to wait for another program to let go of the database."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states of trials that have ended and count towards `n_trials`, as paused ones do."""


def has_study(folder: Path) -> bool:
    """Tell whether the sweep in `folder` has a study, here or in a database."""
    return (folder / STUDY).exists() or (folder / POINTER).exists()


def studies_in(sweeps: Path) -> list[Path]:
    """Return the folders of the sweeps that have begun, in the order of their names."""
    return sorted({path.parent for name in (STUDY, POINTER) for path in sweeps.glob(f"*/{name}")})


def open_study(
    folder: Path, name: str, search: Search, *, extend: bool = False, storage: SharedStorage | None = None
) -> Study:
    """Create the study, or continue it; one process at a time (see `tracking.lock`).

    With `extend`, ranges may have become wider since, and choices more. It is in the `storage`, by default in
    a file in the sweep's folder.

    Errors: StoreError where the database is locked or no database; InputError where the study on disk
    searches something else: its results would not compare.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / STUDY
    if storage is None:
        _switch_to_wal(path)
    with readable_errors(path):
        # Its connection stays open: whenever the last one is closed, SQLite copies and removes the WAL.
        study = optuna.create_study(
            storage=_storage(path) if storage is None else storage,
            study_name=name,
            directions=[*map(_direction, search.directions)],
            load_if_exists=True,
        )
        known = stored_search(study)
        refuse_other(known, search, name, extend=extend)
        if known is None:
            keep_search(study, search)
    return study


def keep_search(study: Study, search: Search) -> None:
    """Let the study search this from now on; `open_study` has agreed to it."""
    known = stored_search(study)
    if known is not None and known != search:
        _extend_trials(study, known)
        study.set_user_attr(SEARCH, {**search.as_json(), "labels before": known.as_json()["labels"]})
    elif known is None:
        study.set_user_attr(SEARCH, search.as_json())
    _extend_trials(study, search)  # also where a kill came between the two


def _extend_trials(study: Study, search: Search) -> None:
    extend_choices(study, study.user_attrs[SEARCH].get("labels before", {}), search)


def keep_names(study: Study, names: list[str]) -> None:
    """Let the study know what its objectives are called, if each has a name."""
    if len(names) == len(study.directions) and study.metric_names != names:
        with _without_experimental_warnings():
            study.set_metric_names(names)


def stored_search(study: Study) -> Search | None:
    """Return what a study searches; None where it was only just created."""
    content = study.user_attrs.get(SEARCH)
    return None if content is None else Search.from_json(content)


def close_study(study: Study) -> None:
    """Close the database of an opened study, so that all of it is in its one file."""
    close_connections(study)


def read_study(folder: Path, name: str) -> Study:
    """Open an existing study to read it. Errors: InputError where there is none, StoreError."""
    path = folder / STUDY
    if not path.exists():
        storage = None if (url := read_pointer(folder)) is None else read_storage(url)
        if storage is None:
            raise InputError(f"sweep {name} has no study at {path}")
        with readable_errors(path):
            return _loaded(storage, name)
    with _sqlite_errors(path), _plain(path):
        pass
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with readable_errors(path):
        try:
            return optuna.load_study(storage=_storage(path, poolclass=NullPool), study_name=name)
        except KeyError:
            raise InputError(f"{path} holds no sweep named {name}") from None


def read_shared_study(url: StorageUrl, name: str) -> Study:
    """Open an existing study in a database, to read it. Errors: InputError where there is none, StoreAway."""
    return _loaded(read_storage(url), name)


def _loaded(storage: SharedStorage, name: str) -> Study:
    """Return a study that is in a database. Errors: InputError where there is none of this name."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.load_study(storage=storage, study_name=name)
    except KeyError:
        raise InputError(f"the database has no sweep named {name}") from None


def confirm_study(study: Study) -> Study:
    """Create, or continue, the study of an opened one's confirm stage, in the same database.

    Its params are `trial`, a finalist's number, and `seed`.
    """
    return optuna.create_study(
        storage=storage_of(study),
        study_name=_of_confirm(study),
        directions=study.directions,
        load_if_exists=True,
    )


def find_confirm_study(study: Study) -> Study | None:
    """Return the study of a sweep's confirm stage, None where it has not begun."""
    try:
        return optuna.load_study(storage=storage_of(study), study_name=_of_confirm(study))
    except KeyError:
        return None


def _of_confirm(study: Study) -> str:
    return f"{study.study_name}:confirm"


def best_trials(study: Study, count: int) -> list[FrozenTrial]:
    """Return up to `count` completed trials, the best first; the Pareto front with several objectives."""
    if len(study.directions) > 1:
        return study.best_trials[:count]
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    completed = [trial for trial in trials if math.isfinite(trial.value or 0)]  # a study may be an old one
    maximize = study.direction == StudyDirection.MAXIMIZE
    return sorted(completed, key=lambda t: float(t.value or 0), reverse=maximize)[:count]


def finished_count(study: Study) -> int:
    """Return how many trials have ended that count towards `n_trials`."""
    return len(study.get_trials(deepcopy=False, states=FINISHED))


class TrialEntry:
    """A trial as the study keeps it: written here, by one process."""

    def __init__(self, study: Study, found: FrozenTrial) -> None:
        """`found` is the trial as it was when it was last read."""
        self.found = found
        self.id, self.number = trial_id(found), found.number
        self._storage = storage_of(study)
        self.writing: Callable[[Callable[[], None]], Any] = lambda write: write()
        """Calls what writes to it while it runs; a coordinator that shares the study looks at its lease."""

    def now(self) -> FrozenTrial:
        """Return the trial as the study has it now; it is read alone, however many others run."""
        return self._storage.get_trial(self.id)

    @property
    def attributes(self) -> dict[str, Any]:
        """The user attributes as they are now."""
        return self.now().user_attrs

    def note(self, name: str, value: Any) -> None:
        """Set a user attribute; a text without secrets."""
        value = redacted(value) if isinstance(value, str) else value
        self.writing(partial(self._storage.set_trial_user_attr, self.id, name, value))

    def annotate(self, attributes: Mapping[str, Any]) -> None:
        """Set system attributes, for samplers and pruners."""
        for name, value in attributes.items():
            self.writing(partial(self._storage.set_trial_system_attr, self.id, name, value))

    def report(self, step: int, value: float) -> None:
        """Add an intermediate value."""
        self.writing(partial(self._storage.set_trial_intermediate_value, self.id, step, value))

    def begin(self) -> None:
        """Say that it runs."""
        if self.found.state != TrialState.RUNNING:
            self._storage.set_trial_state_values(self.id, TrialState.RUNNING)

    def wait(self) -> None:
        """Put it back: it waits, with all that it has."""
        self._storage.set_trial_state_values(self.id, TrialState.WAITING)


def create_entry(study: Study, proposed: FrozenTrial) -> TrialEntry:
    """Put a proposed trial into the study, whole or not at all, and return it."""
    storage = storage_of(study)
    created = storage.create_new_trial(study_id(study), template_trial=proposed)
    return TrialEntry(study, storage.get_trial(created))


def pruner_for(spec: Mapping[str, Any] | None) -> BasePruner:
    """Build the pruner; None prunes nothing."""
    return NopPruner() if spec is None else part(spec, "hydra.sweeper.pruner")


def _direction(name: str) -> StudyDirection:
    return StudyDirection.MINIMIZE if name == "minimize" else StudyDirection.MAXIMIZE


def part(spec: Mapping[str, Any], where: str, **given: Any) -> Any:
    """Build a sampler or a pruner from its config. Errors: InputError."""
    with _without_experimental_warnings():
        return targets.build(spec, where=where, **given)


@contextlib.contextmanager
def _without_experimental_warnings() -> Iterator[None]:
    """Silence Optuna's warnings about its experimental parts, which would break into a live table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _storage(path: Path, **pool: Any) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(
        f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT}, **pool}
    )


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to a database of plain tables only. Errors: StoreError, SQLite's."""
    with contextlib.closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as connection:
        refuse_strange(connection, path)
        yield connection


@contextlib.contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's own errors into one line. Errors: StoreError, DiskFull."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _store_error(path, str(error)) from error


def _switch_to_wal(path: Path) -> None:
    """Let readers read while the coordinator writes; the mode is kept in the file."""
    with _sqlite_errors(path):
        make(path)
        with _plain(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()


@contextlib.contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn what the study's database raises into one line. Errors: StoreError, DiskFull."""
    try:
        yield
    except (DatabaseError, LockLost, optuna.exceptions.StorageInternalError) as error:
        raise _store_error(path, str(error.__cause__ or error)) from error


def _store_error(path: Path, message: str) -> RunbackError:
    if not path.exists() and (url := read_pointer(path.parent)) is not None:
        return StoreAway(f"cannot use the study in {url.label}: {redacted(message.splitlines()[0])}")
    if is_full(message, path.parent):
        return DiskFull(f"the disk is full: cannot write {path}")
    if "locked" in message:
        return StoreError(f"{path} is locked by another program; waited {LOCK_TIMEOUT} s")
    return StoreError(f"cannot use {path}: {message.splitlines()[0]}")
