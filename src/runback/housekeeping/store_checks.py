"""Whether the databases in mlruns/ are sound, and say what is true: of runs, of trials, of places."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING

from runback.errors import InputError, StoreError
from runback.housekeeping.check import Check, ok
from runback.sweeping.study.best_runs import FILES
from runback.system.files.folder_lock import is_held
from runback.tracking.layout import CHECKPOINTS, Layout
from runback.tracking.sqlite.database_schema import any_running, refuse_unknown
from runback.tracking.sqlite.sqlite_file import (
    faults,
    file_of,
    printable_path,
    revision,
    write_ahead,
    writes_ahead,
)
from runback.tracking.tracking_server import is_in_clear
from runback.tracking.upkeep import moved_artifacts

if TYPE_CHECKING:
    from runback.sweeping.study.left_running import StudyFacts
    from runback.tracking.store import Store

PATIENCE = 2.0
"""Seconds to wait for another program's lock; a sweep's own take milliseconds."""

NAMED = 3
"""Runs that are named in one line."""


def store_checks(layout: Layout) -> list[Check]:
    """Check each sweep's study and the store of runs. What cannot be opened is told of, and left as it is."""
    ours = _SweepRuns()
    checks = []
    for study in sorted(file for name in FILES for file in layout.sweeps.glob(f"*/{name}")):
        check, runs = _study_check(layout, study)
        checks.append(check)
        ours = ours | runs
    return [*_tracking_checks(layout, ours), *checks]


@dataclass(frozen=True)
class _SweepRuns:
    """The IDs of the runs that studies know, and of those of trials that have not ended."""

    known: frozenset[str] = frozenset()
    going_on: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    """The sweeps whose study could not be read: nobody knows what they go on with."""

    def __or__(self, other: "_SweepRuns") -> "_SweepRuns":
        return _SweepRuns(
            self.known | other.known, self.going_on | other.going_on, self.unread | other.unread
        )


def _tracking_checks(layout: Layout, ours: _SweepRuns) -> list[Check]:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    database = file_of(uri) if uri else layout.database
    if database is None:
        return _server_checks(layout, ours)
    if not database.exists():
        return [ok(printable_path(database), "not there yet: no run was recorded")]
    check = _database_check(database)
    if check.state == "problem":
        return [check]
    return [check, _paths_check(database, layout), *_local_runs_checks(database, layout, ours)]


def _server_checks(layout: Layout, ours: _SweepRuns) -> list[Check]:
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"  # an answer is wanted now
    try:
        from runback.tracking.store import open_store

        store = open_store(layout)
        running = _runs_checks(store, ours)
    except (ImportError, StoreError) as error:
        return [Check("server", "problem", str(error), "start it, or unset MLFLOW_TRACKING_URI")]
    if is_in_clear(store.uri):
        advice = "let a reverse proxy with TLS stand before it, and use its https:// address"
        return [Check("server", "warning", f"{store} gets credentials unencrypted", advice), *running]
    return [ok("server", f"{store} answers"), *running]


def _database_check(database: Path) -> Check:
    """Check a database of MLflow's."""
    try:
        refuse_unknown(database, revision(database, PATIENCE))
        return _soundness(database)
    except (PackageNotFoundError, StoreError) as error:
        return Check(printable_path(database), "problem", str(error))


def _study_check(layout: Layout, database: Path) -> tuple[Check, _SweepRuns]:
    """Check a sweep's study; return also the IDs of the runs that it knows."""
    folder = database.parent
    unread = _SweepRuns(unread=frozenset([folder.name]))
    try:
        from runback.sweeping.study.left_running import study_facts

        layout.inside(database, f"the study of sweep {folder.name}")
        if database.suffix == ".db":
            revision(database, PATIENCE)
        check = _soundness(database) if database.suffix == ".db" else ok(printable_path(database), "answers")
        if check.state == "problem":
            return check, unread
        facts = study_facts(folder)
    except (ImportError, InputError) as error:  # StoreError is one
        is_at_work = is_held(folder, layout.mlruns)  # and may just have begun
        return Check(printable_path(database), "warning" if is_at_work else "problem", str(error)), unread
    if facts.running and not is_held(folder, layout.mlruns):
        trials = ", ".join(facts.running[:NAMED])
        message = f"{_count(facts.running, 'trial')} RUNNING ({trials}) and no process of the sweep lives"
        advice = "the command that began it takes them up, from their checkpoints; its note in MLflow has it"
        check = Check(printable_path(database), "warning", message, advice)
    elif left := _ended_with_checkpoints(folder, facts):
        message = f"{_count(left, 'ended trial')} with checkpoints ({', '.join(left[:NAMED])})"
        check = Check(printable_path(database), "warning", message, "`runback clean` shows and removes them")
    elif facts.paused:
        check = replace(check, found=f"{check.found}; {_paused_text(folder, facts)}")
    return check, _SweepRuns(frozenset(facts.runs), frozenset(facts.open_runs))


def _ended_with_checkpoints(folder: Path, facts: "StudyFacts") -> list[str]:
    if is_held(folder, folder.parent.parent):
        return []
    return [str(number) for number in facts.ended if any((folder / str(number)).glob(CHECKPOINTS))]


def _paused_text(folder: Path, facts: "StudyFacts") -> str:
    without = [str(number) for number in facts.paused if not any((folder / str(number)).glob(CHECKPOINTS))]
    text = f"{_count(facts.paused, 'trial')} paused"
    if not without:
        return text
    return f"{text}; without a checkpoint {', '.join(without[:NAMED])}: begun again where it goes on"


def _soundness(database: Path) -> Check:
    """Check what a database is like as a file. Raises StoreError where it cannot be read."""
    broken = faults(database, PATIENCE)
    if broken:
        advice = (
            "stop all that uses it and keep a copy, then put a backup (*.bak) in its place, or save what can "
            f"be read: sqlite3 {database.name} .recover"
        )
        return Check(printable_path(database), "problem", f"damaged: {'; '.join(broken)}", advice)
    if writes_ahead(database, PATIENCE):
        return ok(printable_path(database), f"sound, {database.stat().st_size / 1e6:,.1f} MB")
    message = "sound; it keeps no write-ahead log, so readers and writers wait for each other"
    advice = "`runback doctor --fix` turns it on"
    return Check(printable_path(database), "warning", message, advice, partial(_switch, database))


def _switch(database: Path) -> str:
    write_ahead(database)
    return "keeps a write-ahead log now"


def _paths_check(database: Path, layout: Layout) -> Check:
    """Check that artifacts are where MLflow looks for them."""
    try:
        places = moved_artifacts.stale_places(database, layout.mlruns)
        foreign = moved_artifacts.foreign_homes(database, layout.mlruns)
    except StoreError as error:
        return Check("artifacts", "problem", str(error))
    if places:
        old = ", ".join(sorted({str(place.old) for place in places}))
        message = (
            f"the project was moved: {_count(places, 'path')} in {printable_path(database)} still name {old}"
        )
        advice = "`runback doctor --fix` rewrites them, after a backup"
        return Check("artifacts", "problem", message, advice, partial(_rewrite, database, layout))
    if foreign:
        message = (
            f"experiments keep their artifacts in {', '.join(map(str, foreign))}, not in {layout.mlruns}"
        )
        advice = "if this is a copy of a project, name other experiments (tracking.experiment=NAME)"
        return Check("artifacts", "warning", message, advice)
    return ok("artifacts", "where MLflow looks for them")


def _rewrite(database: Path, layout: Layout) -> str:
    count, backup = moved_artifacts.rewrite(database, layout.mlruns)
    return f"{count} paths rewritten to {layout.mlruns}; the database before: {backup.name}"


def _local_runs_checks(database: Path, layout: Layout, ours: _SweepRuns) -> list[Check]:
    try:
        if not any_running(database):
            return [ok("runs", "none is RUNNING")]
        from runback.tracking.store import open_store

        return _runs_checks(open_store(layout), ours)
    except (ImportError, StoreError) as error:
        return [Check("runs", "problem", str(error))]


def _runs_checks(store: "Store", ours: _SweepRuns) -> list[Check]:
    """Check that runs which train or are paused do. Raises StoreError."""
    from runback.tracking.upkeep.dead_runs import paused

    count, left = paused(store, ours.known, ours.going_on, ours.unread)
    checks = [_runs_check(store, ours.known)]
    if left:
        names = ", ".join(run.info.run_id[:12] for run in left[:NAMED])
        message = f"{_count(left, 'run')} SCHEDULED that no sweep goes on with: {names}"
        advice = "`runback doctor --fix` closes them"
        checks.append(Check("paused runs", "problem", message, advice, partial(_close_paused, store, ours)))
    elif count:
        checks.append(ok("paused runs", f"{count} SCHEDULED, each a trial that its sweep can go on with"))
    return checks


def _close_paused(store: "Store", ours: _SweepRuns) -> str:
    from runback.tracking.upkeep.dead_runs import ABANDONED, close, paused

    _, left = paused(store, ours.known, ours.going_on, ours.unread)
    closed = [run for run in left if close(store, run, "SCHEDULED", ABANDONED)]
    return f"{_count(closed, 'run')} closed as KILLED"


def _runs_check(store: "Store", ours: Collection[str]) -> Check:
    """Check that every RUNNING run has a process. Raises StoreError."""
    from runback.tracking.upkeep.dead_runs import running

    found = running(store, ours)
    others = f"; {len(found.unknown)} of other programs or machines" if found.unknown else ""
    if found.waiting:
        others = f"; what {_count(found.waiting, 'run')} logged is still to be delivered{others}"
    if not found.unattended:
        count = len(found.attended)
        message = f"{count} RUNNING, each with its process{others}" if count else f"none is RUNNING{others}"
        return (
            Check("runs", "warning", message, "`runback sync` delivers it")
            if found.waiting
            else ok("runs", message)
        )
    names = ", ".join(run.info.run_id[:12] for run in found.unattended[:NAMED])
    more = ", ..." if len(found.unattended) > NAMED else ""
    message = f"{_count(found.unattended, 'run')} RUNNING whose process is gone: {names}{more}{others}"
    advice = (
        "`runback doctor --fix` closes them; `runback train resume=RUN` goes on with one, or its sweep does"
    )
    return Check("runs", "problem", message, advice, partial(_close, store, ours))


def _close(store: "Store", ours: Collection[str]) -> str:
    from runback.tracking.tags import SWEEP_TAG
    from runback.tracking.upkeep.dead_runs import close, running

    closed = [run for run in running(store, ours).unattended if close(store, run)]
    message = f"{_count(closed, 'run')} closed as KILLED"
    if any(SWEEP_TAG in run.data.tags for run in closed):
        return f"{message}; `runback sweep NAME` takes a sweep's trials up"
    return message


def _count(things: Collection[object], what: str) -> str:
    return f"{len(things)} {what}{'' if len(things) == 1 else 's'}"
