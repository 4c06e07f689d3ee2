"""Goes on with a run that was stopped or killed, in the same MLflow run."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runback.errors import InputError
from runback.provenance.comparing.difference import differences
from runback.runs.continuation import reopen
from runback.runs.schema import RECORD
from runback.runs.stored_run import StoredRun, find_recorded, refuse_other_data
from runback.system.files.folder_lock import alone_in
from runback.system.stop_signals import held_signals
from runback.tracking.layout import Layout
from runback.tracking.tags import SWEEP_TAG

if TYPE_CHECKING:
    from runback.runs.checkpoint import Checkpoint
    from runback.runs.continuation import Continuation

_logger = logging.getLogger(__name__)


class Unfinished:
    """A run that goes on, whose folder this process holds."""

    def __init__(self, recorded: StoredRun, folder: Path, layout: Layout, ends: contextlib.ExitStack) -> None:
        from runback.runs.checkpoint import load_newest

        self.recorded, self.folder, self.layout = recorded, folder, layout
        self.checkpoint: Checkpoint | None = load_newest(folder)
        """Where it goes on; None: at its beginning."""
        self._ends = ends

    def reopened(self) -> "Continuation":
        """Open the run in MLflow again: its status is true from here on, however it ends. StoreError."""
        from runback.tracking.store import open_store
        from runback.tracking.write.run_writer import recording

        with held_signals():  # it runs again from some moment on in here: what ends it gives its reason
            continuation = reopen(open_store(self.layout), self.recorded.id, self.folder, self.checkpoint)
            self._ends.enter_context(recording(continuation.run))
        return continuation


@contextlib.contextmanager
def unfinished(reference: str, layout: Layout) -> Iterator[Unfinished]:
    """Hold the folder of a run that is to go on.

    Errors: InputError, with the run unchanged, where it is finished or running, or was made elsewhere.
    """
    from runback.tracking.store import open_store
    from runback.tracking.write.delivery import deliver_folder
    from runback.tracking.write.outbox import waiting

    before = find_recorded(reference, layout)
    folder = refuse_unresumable(before, layout)
    with alone_in(folder, f"run {before.id}"):
        if waiting([folder]):
            deliver_folder(open_store(layout), folder)  # what its record lacks may be there
        recorded = find_recorded(before.id, layout)  # the process that held the folder may have ended it
        _refuse_finished(recorded)
        _refuse_unrecorded(recorded, layout)
        with contextlib.ExitStack() as ends:
            yield Unfinished(recorded, folder, layout, ends)


def compare_now(recorded: StoredRun) -> Callable[[Mapping[str, Any]], None]:
    """Return what is to be called with a record as it would be made now, before the run goes on.

    It refuses other data (DataError) and logs what else may keep the run from ending as it would have.
    """

    def compare(now: Mapping[str, Any]) -> None:
        other = differences(recorded.record, now)
        refuse_other_data(other)
        for one in other:
            _logger.warning("%s: %s was %s, is now %s", one.part, one.what, one.then, one.now)

    return compare


def refuse_unresumable(recorded: StoredRun, layout: Layout) -> Path:
    """Return the folder of a run that may go on. Errors: InputError for one that cannot."""
    if recorded.is_bundle:
        raise InputError("a bundle cannot be resumed: only a run in mlruns/ has checkpoints")
    _refuse_finished(recorded)
    _refuse_paused(recorded, layout)
    folder = layout.run_folder(recorded.tags, recorded.id)
    if folder is None:
        raise InputError(f"run {recorded.id} cannot be resumed: its folder lies outside mlruns/")
    if not folder.is_dir():
        raise InputError(f"run {recorded.id} cannot be resumed: its folder {folder} is gone")
    return folder


def _refuse_finished(recorded: StoredRun) -> None:
    if recorded.status == "FINISHED":
        raise InputError(f"run {recorded.id} is FINISHED: there is nothing left to train")


def _refuse_paused(recorded: StoredRun, layout: Layout) -> None:
    """Refuse a run that its sweep goes on with: it would be trained twice."""
    from runback.sweeping.study.left_running import study_facts
    from runback.sweeping.study.study_store import has_study

    sweep = recorded.tags.get(SWEEP_TAG)
    if recorded.status != "SCHEDULED" or sweep is None or not has_study(layout.sweep(sweep)):
        return
    for number, run_id in study_facts(layout.sweep(sweep)).paused.items():
        if run_id == recorded.id:
            raise InputError(
                f"run {recorded.id} is trial {number} of sweep {sweep}, which has paused it: the command "
                "that began the sweep goes on with it, if it is among the best"
            )


def _refuse_unrecorded(recorded: StoredRun, layout: Layout) -> None:
    """Refuse, and close, a run whose process was killed before it had recorded what it is made from."""
    from runback.tracking.store import open_store
    from runback.tracking.write.run_writer import RunWriter

    if RECORD in recorded.files.names or recorded.history:
        return
    if recorded.status == "RUNNING":
        RunWriter(open_store(layout), recorded.id).finish("KILLED", "killed before its first epoch")
    raise InputError(
        f"run {recorded.id} has no {RECORD}: it was killed before its first epoch, train it anew"
    )
