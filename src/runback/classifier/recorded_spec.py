"""The training that a recorded run was, to be done again."""

from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.classifier.train_config import TrainConfig, TrainingSpec
from runback.errors import InputError
from runback.runs.schema import CONFIG
from runback.runs.stored_run import StoredRun
from runback.system.config.written_config import refuse_left_out
from runback.system.cores import available_cores
from runback.tracking.layout import Layout


def recorded_spec(
    recorded: StoredRun, folder: Path, name: str, layout: Layout, threads: int | None = None
) -> TrainingSpec:
    """Return the training of a run as one to do again: as `name`, writing into `folder`.

    It has as many CPU threads as the run had, or `threads`. Errors: InputError.
    """
    schema = OmegaConf.structured(TrainConfig)
    OmegaConf.set_struct(schema, False)  # a key of the user's own, which others referred to
    try:
        config = OmegaConf.merge(schema, recorded.config)
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{CONFIG} of run {recorded.id} cannot be used: {reason}") from error
    refuse_left_out(OmegaConf.to_container(recorded.config))  # type: ignore[arg-type]
    if threads is not None:
        config.training.threads = threads
    return TrainingSpec.of(
        config,  # type: ignore[arg-type]
        share=available_cores(),
        folder=folder,
        layout=layout,
        name=name,
        choices=recorded.record["choices"],
        overrides=recorded.overrides,
        is_recorded=True,
    )
