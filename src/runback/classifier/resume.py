"""`runback train resume=RUN`: goes on with a run that was stopped or killed, in the same MLflow run."""

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from runback.classifier.build import prepare
from runback.classifier.record import run_record
from runback.classifier.recorded_spec import recorded_spec
from runback.classifier.train import train
from runback.classifier.train_config import TrainingSpec
from runback.errors import InputError
from runback.provenance.comparing.difference import differences
from runback.runs.continuation import reopen
from runback.runs.live.recorded_code import code_here
from runback.runs.schema import RECORD
from runback.runs.stored_run import StoredRun, find_recorded, refuse_other_data
from runback.runs.tasks.hydra_app import enter_project
from runback.system.files.folder_lock import alone_in
from runback.system.stop_signals import held_signals, stop_on_signals
from runback.system.text.quiet_stderr import silenced
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root

if TYPE_CHECKING:
    from runback.runs.checkpoint import Checkpoint

_logger = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run `runback train resume=RUN`."""
    others = [argument for argument in argv if not argument.startswith("resume=")]
    if others or len(argv) > 1:
        argument = others[0] if others else argv[1]
        raise InputError(
            f"resume=RUN stands alone, a run goes on with the config it began with; got {argument!r}"
        )
    layout = Layout(project_root())
    enter_project(layout)
    with stop_on_signals():
        run_id = resume(argv[0].removeprefix("resume="), layout)
    say(f"run {run_id}")
    return 0


def resume(reference: str, layout: Layout) -> str:
    """Train an unfinished run to its end, from its newest checkpoint, or from its beginning if it has none.

    Returns the run's ID. Errors: InputError, with the run unchanged, when it cannot go on: it is finished or
    running, was made elsewhere, has other data now or a checkpoint that does not fit its network.
    """
    from runback.runs.checkpoint import load_newest
    from runback.tracking.store import open_store
    from runback.tracking.write.delivery import deliver_folder
    from runback.tracking.write.outbox import waiting
    from runback.tracking.write.run_writer import recording

    before = find_recorded(reference, layout)
    folder = _folder(before, layout)
    with alone_in(folder, f"run {before.id}"):
        if waiting([folder]):
            deliver_folder(open_store(layout), folder)  # what its record lacks may be there
        recorded = find_recorded(before.id, layout)  # the process that held the folder may have ended it
        _refuse_finished(recorded)
        _refuse_unrecorded(recorded, layout)
        spec = recorded_spec(recorded, folder, recorded.name, layout)
        checkpoint = load_newest(folder)
        _refuse_what_does_not_fit(recorded, spec, checkpoint)
        with contextlib.ExitStack() as ends:
            with held_signals():  # it runs again from some moment on in here: what ends it gives its reason
                continuation = reopen(open_store(layout), recorded.id, folder, checkpoint)
                ends.enter_context(recording(continuation.run))
            train(spec, continuation=continuation)
    return recorded.id


def _folder(recorded: StoredRun, layout: Layout) -> Path:
    if recorded.is_bundle:
        raise InputError("a bundle cannot be resumed: only a run in mlruns/ has checkpoints")
    _refuse_finished(recorded)
    folder = layout.run_folder(recorded.tags, recorded.id)
    if folder is None:
        raise InputError(f"run {recorded.id} cannot be resumed: its folder lies outside mlruns/")
    if not folder.is_dir():
        raise InputError(f"run {recorded.id} cannot be resumed: its folder {folder} is gone")
    return folder


def _refuse_finished(recorded: StoredRun) -> None:
    if recorded.status == "FINISHED":
        raise InputError(f"run {recorded.id} is FINISHED: there is nothing left to train")


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


def _refuse_what_does_not_fit(
    recorded: StoredRun, spec: TrainingSpec, checkpoint: "Checkpoint | None"
) -> None:
    """Refuse other data or another network; say what else may keep the run from ending as it would have."""
    with silenced():
        from runback.classifier.training.fit import compile_model, restore_training

    prepared = prepare(spec)
    now = run_record(spec, prepared.train, prepared.validation, code_here(spec.layout.root))
    other = differences(recorded.record, now)
    refuse_other_data(other)
    if checkpoint is not None:
        model = compile_model(
            prepared.network,
            prepared.augmentation,
            prepared.optimizer,
            prepared.criterion,
            prepared.fine_tuning,
        )
        restore_training(checkpoint, model, prepared.criterion, prepared.fine_tuning)
    for one in other:
        _logger.warning("%s: %s was %s, is now %s", one.part, one.what, one.then, one.now)
