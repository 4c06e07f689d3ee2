"""Goes on with the training of a network that was stopped or killed."""

from typing import TYPE_CHECKING

from runback.classifier.build import prepare
from runback.classifier.record import run_record
from runback.classifier.recorded_spec import recorded_spec
from runback.classifier.train import train
from runback.classifier.train_config import TrainingSpec
from runback.runs.live.recorded_code import code_here
from runback.runs.resume import Unfinished, compare_now
from runback.runs.stored_run import StoredRun
from runback.system.text.quiet_stderr import silenced

if TYPE_CHECKING:
    from runback.runs.checkpoint import Checkpoint


def resume_training(run: Unfinished) -> None:
    """Train an unfinished run of the classifier to its end.

    Errors: InputError, with the run unchanged, where it has other data now, or a checkpoint that does not fit
    its network.
    """
    spec = recorded_spec(run.recorded, run.folder, run.recorded.name, run.layout)
    _refuse_what_does_not_fit(run.recorded, spec, run.checkpoint)
    train(spec, continuation=run.reopened())


def _refuse_what_does_not_fit(
    recorded: StoredRun, spec: TrainingSpec, checkpoint: "Checkpoint | None"
) -> None:
    """Refuse other data or another network; say what else may keep the run from ending as it would have."""
    with silenced():
        from runback.classifier.training.fit import compile_model, restore_training

    prepared = prepare(spec)
    compare_now(recorded)(run_record(spec, prepared.train, prepared.validation, code_here(spec.layout.root)))
    if checkpoint is not None:
        model = compile_model(
            prepared.network,
            prepared.augmentation,
            prepared.optimizer,
            prepared.criterion,
            prepared.fine_tuning,
        )
        restore_training(checkpoint, model, prepared.criterion, prepared.fine_tuning)
