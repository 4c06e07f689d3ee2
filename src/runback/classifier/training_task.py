"""Trains one network: seed, data, network, fit, record. It is a task as anybody's is."""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

import runback
from runback.classifier import record
from runback.classifier.build import checked_data, prepare
from runback.classifier.data_path import with_absolute_path
from runback.classifier.precision import precision_line, with_precision
from runback.classifier.preload import PRELOAD
from runback.classifier.train_config import (
    GROUPS,
    RUN,
    TrackingConfig,
    TrainingConfig,
    TrainingSpec,
    refuse_unset,
)
from runback.errors import InputError
from runback.provenance.machine.hardware import hardware
from runback.system.config import targets
from runback.system.text.quiet_stderr import silenced

if TYPE_CHECKING:
    from pathlib import Path


def resolve(cfg: DictConfig, root: "Path") -> DictConfig:
    """Return a config with absolute paths and a precision. Errors: InputError for keys that lack."""
    cfg = with_absolute_path(cfg, root)
    refuse_unset(OmegaConf.to_container(cfg))  # type: ignore[arg-type]
    return with_precision(cfg)


def warm_up(run: runback.Run, **config: Any) -> None:
    """Do ahead what takes long the first time: the first batch of a training."""
    # A process that only waits would hold memory on each GPU.
    if hardware()["gpus"] or not _names_only_our_own(config):
        return
    from runback.classifier.training.batches import training_batches

    spec = training_spec(run, config)
    next(iter(training_batches(prepare(spec).train, spec.options.batch_size, seed=0, steps=1)))


@runback.task(
    objective="${training.objective}",
    direction="${training.direction}",
    check=True,
    warm_up=warm_up,
    preload=PRELOAD,
    resolve=resolve,
    immaterial=("training.checkpoint",),
    named_by=("model", "optimizer"),
    run=RUN,
)
def train(
    run: runback.Run,
    *,
    seed: int = 0,
    training: TrainingConfig = TrainingConfig(),  # noqa: B008 - it is frozen into a config
    tracking: TrackingConfig = TrackingConfig(),  # noqa: B008 - likewise
    model: Any,
    optimizer: Any,
    schedule: Any,
    augmentation: Any,
    data: Any,
) -> tuple[float, ...]:
    """Train what the config says, and return its objectives' values."""
    groups = {"model": model, "optimizer": optimizer, "schedule": schedule}
    config = {**groups, "augmentation": augmentation, "data": data, "seed": seed, "training": training}
    spec = training_spec(run, config)
    images = checked_data(spec)  # before TensorFlow, which takes seconds to import
    summary = record.data_summary(spec, *images)
    run.say(*summary.lines(), precision_line(spec.options.precision))
    with silenced():
        from runback.classifier.training.recorded_training import recorded_fit
    prepared = prepare(spec, images)  # seed, network
    run.say(*(f"  note: {note}" for note in prepared.notes))
    return recorded_fit(run, spec, prepared)


def training_spec(run: runback.Run, config: dict[str, Any]) -> TrainingSpec:
    """Return the training that a run is to be."""
    return TrainingSpec(
        config={**run.params, **{group: config[group] for group in GROUPS}},
        options=config["training"],
        seed=config["seed"],
        threads=run.threads,
        choices={group: str(run.choices.get(group)) for group in GROUPS},
        root=run.project,
        cache=run.cache,
        room=run.folder,
    )


def _names_only_our_own(config: dict[str, Any]) -> bool:
    """Tell whether a config names no code of the user's, whose modules a trial has to find untouched."""
    try:
        for group in GROUPS:
            targets.check(config.get(group), group)
    except InputError:
        return False
    return True
