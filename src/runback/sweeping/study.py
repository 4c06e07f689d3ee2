"""A sweep's study on disk: opened by one coordinator, read by anyone."""

import contextlib
import hashlib
import importlib.util
import json
import sqlite3
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.pruners import BasePruner, NopPruner
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from runback import targets
from runback.disk import is_full
from runback.errors import DiskFull, InputError, RunbackError, StoreError
from runback.sweeping.space import Space

STUDY = "study.db"
"""In the sweep's folder: the study."""

LOCK_TIMEOUT = 15
"""Seconds to wait for another program to let go of the database."""

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
"""The states that count towards `n_trials`."""

_SEARCH = "runback:search"


def open_study(folder: Path, name: str, directions: Sequence[str], space: Space, base: str = "") -> Study:
    """Create the study, or continue it; one process at a time (see `tracking.lock`).

    `base` is the fingerprint of the config that its trials have in common.

    Errors: StoreError where the database is locked or no database; InputError where the study on disk
    searches another space or in another direction: its results would not compare.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / STUDY
    _switch_to_wal(path)
    storage = _storage(path)
    with readable_errors(path):
        study = optuna.create_study(
            storage=storage, study_name=name, directions=[*map(_direction, directions)], load_if_exists=True
        )
        search = {**_search(space, directions), "base": base}
        known = study.user_attrs.get(_SEARCH)
        if known is None:
            study.set_user_attr(_SEARCH, search)
        elif known != search:
            raise InputError(
                f"sweep {name} exists with {_difference(known, search)}; "
                "give this one another name with hydra.sweeper.name=NAME"
            )
    return study


def read_study(folder: Path, name: str) -> Study:
    """Open an existing study to read it. Errors: InputError where there is none, StoreError."""
    path = folder / STUDY
    if not path.exists():
        raise InputError(f"sweep {name} has no study at {path}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with readable_errors(path):
        try:
            return optuna.load_study(storage=_storage(path), study_name=name)
        except KeyError:
            raise InputError(f"{path} holds no sweep named {name}") from None


def best_trials(study: Study, count: int) -> list[FrozenTrial]:
    """Return up to `count` completed trials, the best first; the Pareto front with several objectives."""
    if len(study.directions) > 1:
        return study.best_trials[:count]
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    maximize = study.direction == StudyDirection.MAXIMIZE
    return sorted(completed, key=lambda t: float(t.value or 0), reverse=maximize)[:count]


def finished_count(study: Study) -> int:
    """Return how many trials count towards `n_trials`."""
    return len(study.get_trials(deepcopy=False, states=FINISHED))


class Proposer:
    """Builds the sampler that proposes each trial.

    A fresh sampler per trial, seeded by SHA-256(seed, number), makes what is proposed a function of
    the study's content, not of how often the coordinator was restarted. Quasi-random sequences are the
    exception: their trials must share one scrambling, so they share the seed.
    """

    def __init__(self, spec: Mapping[str, Any], space: Space, seed: int) -> None:
        """Errors: InputError where the sampler cannot search this space, or its dependency is missing."""
        self._spec = dict(spec)
        self._seed = seed
        target = str(spec.get("_target_", ""))
        if target.endswith(".GPSampler") and importlib.util.find_spec("torch") is None:
            # Optuna would notice at its tenth trial.
            raise InputError(
                "sampler gp needs PyTorch, which is missing: pip install torch, or use sampler tpe"
            )
        self._points: list[dict[str, Any]] | None = None
        if target.startswith("runback."):
            self._points = _part(spec, "hydra.sweeper.sampler", distributions=space.distributions, seed=seed)
        self._one_sequence = target.endswith(".QMCSampler")
        if self._points is None:
            self._sampler(0)

    @property
    def limit(self) -> int | None:
        """The number of points there are to visit; None: no end."""
        return None if self._points is None else len(self._points)

    def next_sampler(
        self, trials: Sequence[FrozenTrial], waiting: FrozenTrial | None = None
    ) -> BaseSampler | None:
        """Return the sampler that proposes the trial after these; None when every point was visited.

        With one of them `waiting`, that is the next, and what it still lacks of its params is proposed.
        """
        if self._points is None:
            return self._sampler(len(trials) if waiting is None else waiting.number)
        known = {} if waiting is None else waiting.params
        visited = [trial.params for trial in trials if trial is not waiting]
        left = [point for point in self._points if point not in visited and known.items() <= point.items()]
        if not left:
            return None
        with _without_experimental_warnings():
            return PartialFixedSampler(left[0], RandomSampler(self._seed))

    def _sampler(self, number: int) -> BaseSampler:
        digest = hashlib.sha256(f"{self._seed},{number}".encode()).digest()
        seed = self._seed if self._one_sequence else int.from_bytes(digest[:4], "big")
        return _part(self._spec, "hydra.sweeper.sampler", seed=seed)  # type: ignore[no-any-return]


def pruner_for(spec: Mapping[str, Any] | None) -> BasePruner:
    """Build the pruner; None prunes nothing."""
    return NopPruner() if spec is None else _part(spec, "hydra.sweeper.pruner")


def _direction(name: str) -> StudyDirection:
    return StudyDirection.MINIMIZE if name == "minimize" else StudyDirection.MAXIMIZE


def _part(spec: Mapping[str, Any], where: str, **given: Any) -> Any:
    with _without_experimental_warnings():
        return targets.build(spec, where=where, declared=("optuna", "runback.sweeping"), **given)


@contextlib.contextmanager
def _without_experimental_warnings() -> Iterator[None]:
    """Which parts Optuna still calls experimental is its own affair, not that of a live table's reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def _search(space: Space, directions: Sequence[str]) -> dict[str, Any]:
    axes = {name: json.loads(distribution_to_json(d)) for name, d in sorted(space.distributions.items())}
    return {"directions": list(directions), "fixed": sorted(space.fixed), "space": axes}


def _difference(known: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    for part, label in (("directions", "directions"), ("fixed", "overrides"), ("space", "search space")):
        if known[part] != asked[part]:
            if part != "space":
                return f"other {label} ({known[part]}, now {asked[part]})"
            keys = {*known[part], *asked[part]}
            changed = sorted(k for k in keys if known[part].get(k) != asked[part].get(k))
            return f"another search space (changed: {', '.join(changed)})"
    return "another config: its sweep file or a file of conf/ was changed"


def _storage(path: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(
        f"sqlite:///{path}",
        engine_kwargs={"connect_args": {"timeout": LOCK_TIMEOUT}, "poolclass": NullPool},
    )


def _switch_to_wal(path: Path) -> None:
    """Let readers read while the coordinator writes; the mode is kept in the file."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.DatabaseError as error:
        raise _store_error(path, str(error)) from error


@contextlib.contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """Turn what the study's database raises into one line. Errors: StoreError, DiskFull."""
    try:
        yield
    except (OperationalError, optuna.exceptions.StorageInternalError) as error:
        raise _store_error(path, str(error.__cause__ or error)) from error


def _store_error(path: Path, message: str) -> RunbackError:
    if is_full(message, path.parent):
        return DiskFull(f"the disk is full: cannot write {path}")
    if "locked" in message:
        return StoreError(f"{path} is locked by another program; waited {LOCK_TIMEOUT} s")
    return StoreError(f"cannot use {path}: {message.splitlines()[0]}")
