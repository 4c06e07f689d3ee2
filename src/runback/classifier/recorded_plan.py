"""The training that a recorded run was, to be done again."""

from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.classifier.train_config import TrainConfig, TrainingSpec
from runback.errors import InputError
from runback.runs.schema import CONFIG
from runback.runs.stored_run import StoredRun
from runback.system.config.written_config import refuse_left_out, written


def recorded_plan(recorded: StoredRun, folder: Path, name: str) -> TrainingSpec:
    """Return what trains a run again, as `name`, with `folder` for what that writes. Errors: InputError."""
    try:
        config = OmegaConf.merge(OmegaConf.structured(TrainConfig), recorded.config)
    except OmegaConfBaseException as error:
        told = str(error).splitlines()[0]
        raise InputError(f"{CONFIG} of run {recorded.id} cannot be used: {told}") from error
    refuse_left_out(OmegaConf.to_container(recorded.config))  # type: ignore[arg-type]
    written(config)  # type: ignore[arg-type] # a variable that is missing is said before anything runs
    choices = recorded.record["choices"]
    return TrainingSpec(name, config, choices, recorded.overrides, folder)  # type: ignore[arg-type]
