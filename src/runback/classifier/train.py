"""Trains one model: compose, seed, data, model, fit, record.

`runback train [OVERRIDE…]` runs `job` once, `runback train --multirun …` and `runback sweep` once a trial.
`runback train resume=RUN` goes on with a run that was stopped or killed.
"""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback.classifier import record
from runback.classifier.build import checked_data, prepare
from runback.classifier.preload import PRELOAD
from runback.classifier.train_config import GROUPS, TrainingSpec, check_parts
from runback.errors import InputError, StoreError
from runback.runs.continuation import Continuation
from runback.runs.live.recorded_code import code_here, machine
from runback.runs.run_folder import continued, fresh_folder
from runback.sweeping.changed_text import refuse_changed_text
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.trials import trial as trials
from runback.sweeping.trials.trial import Trial, TrialClient
from runback.system.config import targets
from runback.system.config.written_config import resolved, written_overrides
from runback.system.cores import available_cores
from runback.system.secrecy.secret_values import spare
from runback.system.text.formatting import run_name
from runback.system.text.quiet_stderr import silenced
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root

if TYPE_CHECKING:  # it imports TensorFlow
    from runback.classifier.recording import TrainedNetwork

NUMBER = re.compile(r"\+*([\w.]+\.\w+)=([-+]?\d*\.?\d+(?:e[-+]?\d+)?)", re.IGNORECASE)
"""An override that gives a key of a group a number."""


def job(cfg: DictConfig) -> float | tuple[float, ...]:
    """Train the model that Hydra composed, record it as one MLflow run, return its objective's value."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    client = trials.current()
    trial = None if client is None else client.trial
    if client is not None and client.trial.previous_run_id is not None:
        trained = _go_on(training_spec(cfg, trial), client)
    else:
        with fresh_folder(folder, is_own=client is None):
            trained = train(training_spec(cfg, trial), client=client)
    if trial is None:
        say(f"run {trained.run_id}")
    return trained.values[0] if len(trained.values) == 1 else trained.values


def training_spec(cfg: DictConfig, trial: Trial | None) -> TrainingSpec:
    """Return the training that Hydra composed, for a trial or a single run. Errors: InputError."""
    hydra = HydraConfig.get()
    refuse_changed_text(OmegaConf.to_container(hydra.overrides.task), cfg)  # type: ignore[arg-type]
    choices = {group: str(hydra.runtime.choices.get(group)) for group in GROUPS}
    spare(choices.values())
    overrides = written_overrides(hydra.overrides.task)
    return TrainingSpec.of(
        cfg,
        share=available_cores() if trial is None else trial.threads,
        folder=Path(hydra.runtime.output_dir),
        layout=Layout(project_root()),
        name=_name(choices, overrides) if trial is None else trial.label.name,
        choices=choices,
        overrides=overrides,
    )


def _name(choices: Mapping[str, str], overrides: Sequence[str]) -> str:
    """Name a run after its model, its optimizer and the numbers asked for: `shallow_cnn adam epochs=5`."""
    asked = [NUMBER.fullmatch(override) for override in overrides]
    numbers = {match[1]: float(match[2]) for match in asked if match}
    return run_name({"model": choices["model"], "optimizer": choices["optimizer"], **numbers})


def _go_on(spec: TrainingSpec, client: TrialClient) -> "TrainedNetwork":
    """Train a trial that an earlier process had begun."""
    with continued(spec.folder, client.trial, spec.layout) as (continuation, tags):
        return train(spec, client=client, continuation=continuation, tags=tags)


def train(
    spec: TrainingSpec,
    *,
    client: TrialClient | None = None,
    continuation: Continuation | None = None,
    last_epoch: int | None = None,
    tags: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> "TrainedNetwork":
    """Train what `spec` says and record it, in a new run or in that of `continuation`.

    The caller holds the folder. With `last_epoch` training ends after that epoch, as if it had been stopped
    there; `tags` are set on a new run, besides its own; progress is shown on `stream`, by default stdout.
    """
    if client is None and continuation is None:  # a trial's sweep has looked
        _refuse_deleted_experiment(spec)
    data = checked_data(spec)  # before TensorFlow, which takes seconds to import
    say(*record.data_summary(spec, *data).lines(), stream=stream)
    with silenced():
        from runback.classifier.recording import recorded_training
        from runback.classifier.training.fit import compile_model, fit
        from runback.keras.checkpointing import CheckpointPlan
        from runback.runs.checkpoint import discard

    options = spec.options
    with recorded_training(spec, client, continuation, tags or {}, stream) as recording:
        prepared = prepare(spec, data)  # seed, network
        recording.begin(prepared)
        model = compile_model(
            prepared.network,
            prepared.augmentation,
            prepared.optimizer,
            prepared.criterion,
            prepared.fine_tuning,
        )
        with recording.watch(model):
            fitted = fit(
                model,
                prepared.train,
                prepared.validation,
                epochs=options.epochs,
                batch_size=options.batch_size,
                seed=spec.seed,
                on_epoch=recording.epoch,
                on_batch=recording.batch,
                patience=options.patience,
                monitor=options.objectives[0],
                maximize=options.directions[0] == "maximize",
                checkpoints=CheckpointPlan(spec.folder, options.checkpoint.every),
                resume_from=continuation.checkpoint if continuation else None,
                last_epoch=last_epoch,
                criterion=prepared.criterion,
                fine_tuning=prepared.fine_tuning,
            )
        trained = recording.complete(fitted.metrics, fitted.kept_epoch, finished=last_epoch is None)
    discard(spec.folder)
    return trained


def _refuse_deleted_experiment(spec: TrainingSpec) -> None:
    """Refuse an experiment that was deleted, before the data is read, in a store that exists. StoreError."""
    if os.environ.get("MLFLOW_TRACKING_URI") or spec.layout.database.exists():
        from runback.tracking.store import find_experiment, open_store

        find_experiment(open_store(spec.layout), spec.experiment)


def check(cfg: DictConfig, threads: int) -> None:
    """Refuse what `job` would refuse, without training: see `HydraTask`."""
    from runback.tracking.store import find_experiment, open_store

    layout = Layout(project_root())
    spec = TrainingSpec.of(cfg, share=threads, folder=layout.runs, layout=layout)
    # TensorFlow fixes its threads once a process; here one process checks several configs.
    prepared = prepare(replace(spec, threads=threads))
    find_experiment(open_store(layout), spec.experiment)
    client = trials.current()
    if client is not None:
        data = record.data_summary(spec, prepared.train, prepared.validation, prepared.notes)
        client.notice([*data.lines(), *code_here(layout.root).notices])


def warm_up(cfg: DictConfig, threads: int) -> None:
    """Do ahead what takes long the first time: see `HydraTask`."""
    from runback.tracking.store import open_store

    layout = Layout(project_root())
    code_here(layout.root)
    if layout.database.exists():
        with contextlib.suppress(StoreError):
            open_store(layout, is_prepared=True)  # MLflow keeps it open
    # A process that only waits would hold memory on each GPU.
    if machine()["hardware"]["gpus"] or not _names_only_our_own(cfg):
        return
    from runback.classifier.training.batches import training_batches

    spec = TrainingSpec.of(cfg, share=threads, folder=layout.runs, layout=layout)
    next(iter(training_batches(prepare(spec).train, spec.options.batch_size, seed=0, epochs=1)))


def _names_only_our_own(cfg: DictConfig) -> bool:
    """Tell whether a config names no code of the user's, whose modules a trial has to find untouched."""
    try:
        config = resolved(cfg)
        for group in GROUPS:
            targets.check(config.get(group), group)
    except InputError:
        return False
    return True


TASK = HydraTask(
    job,
    check=check,
    warm_up=warm_up,
    preload=PRELOAD,
    check_parts=check_parts,
    command=("runback", "train"),
    is_evaluated=True,
)
"""The classifier's training."""
