"""Runs that an earlier process began, and where they go on."""

import contextlib
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runback.errors import InputError
from runback.sweeping.trials.trial import STORE_PATIENCE, Trial
from runback.system.text.terminal import say
from runback.tracking.layout import MIRROR, OUTBOX, SAMPLES, Layout
from runback.tracking.tags import RESUMED_TAG, RETRY_TAG

if TYPE_CHECKING:
    from runback.runs.checkpoint import Checkpoint
    from runback.tracking.store import Store
    from runback.tracking.write.run_writer import RunWriter

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Continuation:
    """A run that was begun before, and where it goes on."""

    run: "RunWriter"
    checkpoint: "Checkpoint | None"


def continue_trial(folder: Path, trial: Trial, layout: Layout) -> tuple[Continuation | None, dict[str, str]]:
    """Return where the run goes on of a trial whose process, in this folder, was stopped or died.

    Without a checkpoint, unless it is paused: the tags of another run in its place. Errors: StoreError.
    """
    from runback.runs.checkpoint import load_newest
    from runback.tracking.read.find_runs import has_run, is_scheduled
    from runback.tracking.store import open_store, patiently
    from runback.tracking.write.outbox import Outbox

    run_id = Outbox(folder).run_id or trial.previous_run_id
    if not run_id:  # its process, or the coordinator, was killed before that knew
        _clear(folder)
        return None, {}
    store = open_store(layout, is_prepared=True)
    if Outbox(folder).run_id is None and not patiently(lambda _: has_run(store, run_id), STORE_PATIENCE):
        say(f"run {run_id} is in another machine's store: this trial begins again")
        _clear(folder)
        return None, {}
    checkpoint = None
    with contextlib.suppress(InputError):  # all are damaged
        checkpoint = load_newest(folder)
    if checkpoint is not None or patiently(lambda _: is_scheduled(store, run_id), STORE_PATIENCE):
        return reopen(store, run_id, folder, checkpoint, STORE_PATIENCE), {}
    _deliver(store, folder, run_id)
    _clear(folder)
    return None, {RETRY_TAG: run_id}


def _deliver(store: "Store", folder: Path, run_id: str) -> None:
    """Bring what an earlier process has left to its run; what the store refuses is gone. StoreAway."""
    from runback.tracking.store import patiently
    from runback.tracking.write.delivery import deliver_folder
    from runback.tracking.write.outbox import Outbox

    if Outbox(folder).run_id is None:
        Outbox(folder).belongs_to(run_id, str(store))
    for trouble in patiently(lambda _: deliver_folder(store, folder), STORE_PATIENCE):
        _logger.warning("%s (run %s)", trouble, run_id)


def _clear(folder: Path) -> None:
    from runback.runs.checkpoint import discard
    from runback.tracking.write.outbox import RUN

    discard(folder)
    for name in (MIRROR, SAMPLES, RUN):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / OUTBOX, ignore_errors=True)


def reopen(
    store: "Store", run_id: str, folder: Path, checkpoint: "Checkpoint | None", patience: float = 0.0
) -> Continuation:
    """Open a run again that was stopped or killed, at its newest checkpoint or its beginning.

    A store that is away is waited for, for `patience` seconds. Errors: StoreError.
    """
    from runback.tracking.read.find_runs import find_run
    from runback.tracking.store import patiently
    from runback.tracking.write.run_writer import reopen_run

    def reopened(_: bool) -> tuple["RunWriter", str | None]:
        run = reopen_run(store, run_id, folder)
        return run, find_run(store, run_id).data.tags.get(RESUMED_TAG)

    run, before = patiently(reopened, patience)
    where = "its beginning" if checkpoint is None else f"epoch {checkpoint.epoch}, step {checkpoint.step}"
    run.set_tags({RESUMED_TAG: where if before is None else f"{before}; {where}"})
    say(f"going on from {where}")
    # A power failure can take metrics with it that the checkpoint, flushed to the disk, still has.
    for step, metrics in enumerate(checkpoint.history if checkpoint else [], 1):
        run.log_epoch(step, metrics)
    return Continuation(run, checkpoint)
