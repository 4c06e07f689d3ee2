"""Trains one model: compose, seed, data, model, fit, record.

`runback train [OVERRIDE…]` runs `job` once, `runback train --multirun …` and `runback sweep` once a trial.
`runback train resume=RUN` goes on with a run that was stopped or killed.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback.classifier import hydra_app, record
from runback.classifier.build import prepare
from runback.classifier.data_path import with_absolute_path
from runback.classifier.preload import PRELOAD
from runback.classifier.train_config import GROUPS, TrainingSpec
from runback.errors import InputError, StoreError, TrialPruned
from runback.runs.continuation import Continuation, continue_trial
from runback.sweeping.trials import trial as trials
from runback.system.config import targets
from runback.system.config.written_config import resolved, written_overrides
from runback.system.files.folder_lock import LOCK, alone_in
from runback.system.options import Parser
from runback.system.secrecy.secret_values import spare
from runback.system.text.formatting import run_name
from runback.system.text.quiet_stderr import silenced
from runback.system.text.terminal import say
from runback.tracking.layout import MIRROR, Layout, project_root

NUMBER = re.compile(r"\+*([\w.]+\.\w+)=([-+]?\d*\.?\d+(?:e[-+]?\d+)?)", re.IGNORECASE)
"""An override that gives a key of a group a number."""

FOLDER_PATIENCE = 60.0
"""Seconds that a trial waits for its folder: a delivery to a server that hangs takes 20 s or 40 s to fail."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind."""

    run_id: str
    metrics: Mapping[str, float]
    """Those of the epoch whose weights were kept, and `parameters`."""
    values: tuple[float, ...]
    """Those of the objectives."""
    result: Mapping[str, Any]
    """What the same training has to give again, as record/result.json has it."""


def job(cfg: DictConfig) -> float | tuple[float, ...]:
    """Train the model that Hydra composed, record it as one MLflow run, return its objective's value."""
    hydra = HydraConfig.get()
    choices = {group: str(hydra.runtime.choices.get(group)) for group in GROUPS}
    spare(choices.values())
    trial = trials.current()
    overrides = written_overrides(hydra.overrides.task)
    name = _name(choices, overrides) if trial is None else trial.label.name
    plan = TrainingSpec(name, with_absolute_path(cfg), choices, overrides, Path(hydra.runtime.output_dir))
    trained = train(plan) if trial is None or trial.begun is None else _go_on_as(plan, trial)
    if trial is None:
        say(f"run {trained.run_id}")
    return trained.values[0] if len(trained.values) == 1 else trained.values


def _name(choices: Mapping[str, str], overrides: Sequence[str]) -> str:
    """Name a run after its model, its optimizer and the numbers asked for: `shallow_cnn adam epochs=5`."""
    asked = [NUMBER.fullmatch(override) for override in overrides]
    numbers = {found[1]: float(found[2]) for found in asked if found}
    return run_name({"model": choices["model"], "optimizer": choices["optimizer"], **numbers})


def _go_on_as(plan: TrainingSpec, trial: trials.Trial) -> Trained:
    """Train a trial that an earlier process had begun."""
    # The coordinator may hold the folder for a moment, to deliver what that process could not.
    with alone_in(plan.folder, trial.label.name, FOLDER_PATIENCE):
        begun, tags = continue_trial(plan.folder, trial)
        return _train(plan, begun, None, tags, None)


def train(
    plan: TrainingSpec,
    *,
    begun: Continuation | None = None,
    last_epoch: int | None = None,
    tags: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> Trained:
    """Train what `plan` says and record it, in a new run or in the one that was `begun` before.

    With `last_epoch` training ends after that epoch, as if it had been stopped there; `tags` are set on a new
    run, besides its own; progress is shown on `stream`, by default stdout.
    """
    if begun is not None:  # whoever took it up again holds its folder
        return _train(plan, begun, last_epoch, {}, stream)
    with alone_in(plan.folder, f"the training in {plan.folder}"):
        _refuse_used(plan.folder)
        return _train(plan, None, last_epoch, tags or {}, stream)


def _train(
    plan: TrainingSpec,
    begun: Continuation | None,
    last_epoch: int | None,
    tags: Mapping[str, str],
    stream: TextIO | None,
) -> Trained:
    with silenced():
        from runback.classifier.training import fit
    from runback.classifier.training.predictions import ValidationPredictions
    from runback.classifier.training.progress import TrainingProgress
    from runback.keras.checkpointing import CheckpointPlan
    from runback.runs.checkpoint import discard
    from runback.tracking.write.outbox import say_what_waits
    from runback.tracking.write.run import recording
    from runback.tracking.write.system_metrics import system_metrics

    trial = trials.current()
    with contextlib.ExitStack() as ends:
        ends.callback(say_what_waits, [plan.folder])
        with _discarding_on_bad_input(None if trial or begun else plan.folder):
            code = ends.enter_context(ThreadPoolExecutor(1)).submit(record.code_here)  # git takes its time
            prepared = prepare(plan.config)
            record.say_data(plan, prepared, stream)
            facts = record.record(plan, prepared.threads, prepared.train, prepared.validation, code.result())
            run = begun.run if begun else record.start(plan, prepared, facts, trial, tags)
        options = prepared.options
        checkpoint = begun.checkpoint if begun else None
        history: list[Mapping[str, float]] = list(checkpoint.history) if checkpoint else []
        ends.enter_context(recording(run))
        ends.enter_context(system_metrics(run))
        progress = ends.enter_context(
            TrainingProgress(options.epochs, len(prepared.train.labels), stream, initial_epoch=len(history))
        )

        def on_epoch(step: int, metrics: dict[str, float]) -> None:
            history.append(metrics)
            run.log_epoch(step, metrics)
            progress.epoch(step, metrics)
            if len(options.objectives) == 1 and options.objectives[0] in metrics:
                trials.report(metrics[options.objectives[0]], step)

        if begun is None:
            record.before_training(run, plan, prepared, facts, code.result())
        model = fit.compile_model(prepared.network, prepared.augmentation, prepared.optimizer)
        predictions = ValidationPredictions(model, prepared.validation, options.batch_size)
        try:
            with predictions.keeping():
                fitted = fit.fit(
                    model,
                    prepared.train,
                    prepared.validation,
                    epochs=options.epochs,
                    batch_size=options.batch_size,
                    seed=plan.config.seed,
                    on_epoch=on_epoch,
                    on_batch=progress.batch,
                    patience=options.patience,
                    monitor=options.objectives[0],
                    maximize=options.directions[0] == "maximize",
                    checkpoints=CheckpointPlan(plan.folder, options.checkpoint.every),
                    resume_from=checkpoint,
                    last_epoch=last_epoch,
                )
        except TrialPruned:
            record.result(run, prepared, history, predictions, finished=False)
            raise
        result = record.result(run, prepared, history, predictions, finished=last_epoch is None)
        record.after_training(run, prepared, history)
        metrics = {**fitted.metrics, "parameters": float(prepared.network.count_params())}
        values = tuple(metrics[name] for name in options.objectives)
        if trial is not None:
            trial.completed(values)
    discard(plan.folder)
    return Trained(run.id, metrics, values, result)


def check(cfg: DictConfig) -> None:
    """Refuse what `job` would refuse, without training: a sweep calls this before its first trial."""
    from runback.tracking.store import open_store

    OmegaConf.to_object(cfg.training)
    # TensorFlow fixes its threads once a process; here one process checks several configs.
    prepare(OmegaConf.merge(cfg, {"training": {"threads": None}}))  # type: ignore[arg-type]
    open_store(Layout(project_root()))


def warm_up(cfg: DictConfig, threads: int) -> None:
    """Do ahead what takes long the first time: a sweep calls this in a process that waits for its trial.

    `cfg` is the sweep's config, before anything is searched, and `threads` a trial's.
    """
    from runback.tracking.store import open_store

    layout = Layout(project_root())
    record.code_here()
    if layout.database.exists():
        with contextlib.suppress(StoreError):
            open_store(layout, is_prepared=True)  # MLflow keeps it open
    # A process that only waits would hold memory on each GPU.
    if record.machine()["hardware"]["gpus"] or not _names_only_our_own(cfg):
        return
    from runback.classifier.training.batches import training_batches

    fixed = {"training": {"threads": cfg.training.threads or threads}}
    ready = prepare(OmegaConf.merge(cfg, fixed))  # type: ignore[arg-type]
    next(iter(training_batches(ready.train, ready.options.batch_size, seed=0, epochs=1)))


def _names_only_our_own(cfg: DictConfig) -> bool:
    """Tell whether a config names no code of the user's, whose modules a trial has to find untouched."""
    try:
        config = resolved(cfg)
        for group in GROUPS:
            targets.check(config.get(group), group)
    except InputError:
        return False
    return True


job.check = check  # type: ignore[attr-defined]
job.warm_up = warm_up  # type: ignore[attr-defined]
job.preload = PRELOAD  # type: ignore[attr-defined]


def _refuse_used(folder: Path) -> None:
    """Refuse a folder with another run's curves and checkpoints: they would be taken for this one's."""
    from runback.runs.checkpoint import has_checkpoints

    if (folder / MIRROR).exists() or has_checkpoints(folder):
        raise InputError(f"{folder} holds another run: choose another folder, or move it away")


@contextlib.contextmanager
def _discarding_on_bad_input(folder: Path | None) -> Iterator[None]:
    """Remove what Hydra and the lock made in the folder of a run that never started, and no more."""
    try:
        yield
    except InputError:
        if folder is not None:
            shutil.rmtree(folder / ".hydra", ignore_errors=True)
            (folder / LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def main(argv: list[str]) -> int:
    """Run `runback train`."""
    name = "runback train"
    parser = Parser(prog=name, add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)  # as a sweep writes it: best_config.yaml
    options, others = parser.parse_known_args(argv)
    hydra_app.run(job, others, name=name, config=options.config)
    return 0
