"""Shows what is not needed any more in mlruns/, and with `--yes` deletes it.

That are checkpoints of runs that are finished or pruned, what killed processes left behind, old environments
of `runback reproduce`, and for good what was deleted in MLflow. No folder is touched that a process works in.
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runback.errors import InputError, StoreError
from runback.housekeeping.deleted_runs import DeletedRuns, deleted_runs
from runback.housekeeping.leftovers import OLD, Leftover, checkpoints, of_dead_processes, remove
from runback.system.options import Parser
from runback.system.text.terminal import say, say_json
from runback.tracking.layout import Layout, project_root
from runback.tracking.sqlite.sqlite_file import file_of
from runback.tracking.upkeep import moved_artifacts

if TYPE_CHECKING:
    from runback.tracking.store import Store


def main(argv: list[str]) -> int:
    """Run `runback clean`. Interrupted at any moment, it goes on the next time."""
    older_than = f"environments that no run was reproduced in for so long (default: {OLD:g})"
    parser = Parser(prog="runback clean", description=__doc__)
    parser.add_argument("--yes", action="store_true", help="delete; without it nothing is")
    parser.add_argument("--all-checkpoints", action="store_true", help="also those of runs that could go on")
    parser.add_argument("--older-than", type=float, default=OLD, metavar="DAYS", help=older_than)
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    options = parser.parse_args(argv)
    if not (math.isfinite(options.older_than) and options.older_than >= 0):
        raise InputError(f"--older-than must be a number of days, 0 or more; got {options.older_than}")
    layout = Layout(project_root())
    plan = _plan(layout, options.older_than, every_checkpoint=options.all_checkpoints)
    done = _delete(layout, plan) if options.yes else ((one, "would delete") for one in plan.all)
    if options.json:
        listed = [_as_dict(layout, one, what) for one, what in done]
        say_json({"dry": not options.yes, "items": listed, "notes": plan.notes})
    else:
        _print(layout, plan, done, is_dry=not options.yes)
    return 0


@dataclass(frozen=True)
class _Plan:
    leftovers: list[Leftover]
    deleted: DeletedRuns
    notes: list[str]

    @property
    def all(self) -> list[Leftover]:
        return [*self.leftovers, *self.deleted.folders, *self.deleted.artifacts]


def _plan(layout: Layout, older_than: float, *, every_checkpoint: bool) -> _Plan:
    layout.refuse_links()
    leftovers, deleted, notes = of_dead_processes(layout, older_than), DeletedRuns([], [], None), []
    store, database = _open(layout)
    if store is not None:
        leftovers += checkpoints(store, every=every_checkpoint)
        if database is not None:
            deleted = deleted_runs(store)
            notes = [deleted.note] if deleted.note else []
        else:
            notes = [f"in {store} nothing is deleted: `mlflow gc` does that, where its database is"]
    going = {one.path for one in deleted.folders}
    leftovers = [one for one in leftovers if not going.intersection(one.path.parents)]
    return _Plan(leftovers, deleted, notes)


def _open(layout: Layout) -> "tuple[Store | None, Path | None]":
    """Open the store, if there is one, and tell its SQLite database, if it is one.

    Errors: StoreError, also for a project that was moved: what is deleted would be looked for where it was.
    """
    if not (os.environ.get("MLFLOW_TRACKING_URI") or layout.database.exists()):
        return None, None
    from runback.tracking.store import open_store

    store = open_store(layout)
    database = file_of(store.uri)
    if database is not None and moved_artifacts.stale_places(database, layout.mlruns):
        raise StoreError("the project was moved, and MLflow does not know: call `runback doctor --fix` first")
    return store, database


def _delete(layout: Layout, plan: _Plan) -> Iterator[tuple[Leftover, str]]:
    """Delete what is planned; give each with what became of it."""
    for one in [*plan.leftovers, *plan.deleted.folders]:
        yield one, "deleted" if remove(layout, one) else "kept, it is in use"
    if plan.deleted.purge is not None:
        plan.deleted.purge()
    for one in plan.deleted.artifacts:
        yield one, "kept" if one.path.exists() else "deleted"


def _as_dict(layout: Layout, leftover: Leftover, what: str) -> dict[str, Any]:
    return {
        **{"kind": leftover.kind, "path": _shown(layout, leftover), "bytes": leftover.size},
        **{"why": leftover.why, "done": what},
    }


def _print(layout: Layout, plan: _Plan, done: Iterator[tuple[Leftover, str]], *, is_dry: bool) -> None:
    count = total = 0
    for one, what in done:
        say(f"{what}  {_megabytes(one.size):>11}  {one.kind}  {_shown(layout, one)}  ({one.why})")
        if not what.startswith("kept"):
            count, total = count + 1, total + one.size
    for note in plan.notes:
        say(note)
    if not plan.all:
        say("nothing to delete")
    elif is_dry:
        say(f"{_megabytes(total)} in {count} places; `runback clean --yes` deletes them")
    else:
        say(f"{_megabytes(total)} freed")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _shown(layout: Layout, leftover: Leftover) -> str:
    path, beside = leftover.path, layout.mlruns.parent
    return str(path.relative_to(beside) if path.is_relative_to(beside) else path)
