"""A task on the command line, for one run or for a sweep: `python train.py KEY=VALUE… [--multirun]`."""

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback.errors import InputError, StoreError
from runback.runs.live.run_spec import RunSpec
from runback.runs.run_folder import continued, fresh_folder
from runback.runs.tasks import hydra_app
from runback.runs.tasks.script_preload import TASK_VARIABLE
from runback.runs.tasks.swept_objectives import swept_objectives
from runback.runs.tasks.task import Task
from runback.runs.tasks.task_source import SCRIPT_MODULE, TaskSource
from runback.runs.tasks.task_spec import task_spec
from runback.runs.tasks.unread_keys import refuse_unread
from runback.sweeping.changed_text import refuse_changed_text
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.trials import trial as trials
from runback.system.config.flattening import flatten
from runback.system.config.written_config import resolved, written_overrides
from runback.system.cores import available_cores
from runback.system.exit_code import exit_code
from runback.system.home_folder import name_home
from runback.system.text.formatting import run_name
from runback.system.text.lasting_output import lasting_output
from runback.system.text.redacted_output import redacted_output
from runback.system.text.terminal import guard, say
from runback.tracking.layout import Layout, project_root

CONFIG_NAME = "runback_task"
"""The primary config that a task's own is composed from, in Hydra's store."""

CONFIG_FILE = "config"
"""The config file of a task's `conf/` that is composed in, where there is one."""

LENGTHS = ("epochs", "n_epochs", "num_epochs", "max_epochs")
"""Names of a parameter that says how many epochs a training has."""

PRELOAD = (
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.system_metrics.system_metrics_monitor",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
    "runback.runs.live.run",
    "runback.provenance.code.snapshot",
    "runback.tracking.write.run_writer",
    "runback.tracking.write.system_metrics",
    "runback.runs.tasks.script_preload",
)
"""Modules whose import costs a trial seconds; the last one imports the task's own."""


class Source(Protocol):
    """The place of a task, in a file or not."""

    @property
    def file(self) -> Path | None:
        """Its file; None: it is in none."""

    @property
    def words(self) -> list[str]:
        """The words that name it after `runback train`; none: it cannot be named."""

    def load(self) -> Task:
        """Return the task."""

    def as_dict(self, root: Path) -> dict[str, str]:
        """Return it as a run's record has it."""


@dataclass
class RunConfig:
    """The keys of a task's config that every run has, `run`."""

    seed: Any = 0
    """Seeds Python, NumPy and the frameworks that are imported."""
    threads: int | None = None
    """CPU threads; None: this process's cores, in a sweep the trial's share. They are part of the result."""
    experiment: str = "runback"
    """The MLflow experiment."""


def main(task: Task, arguments: list[str]) -> int:
    """Run a task's command line; return its exit code."""
    if task.module == SCRIPT_MODULE:  # the file is only read, for its task
        raise InputError(
            f'{task.name}.main() is called where the script is imported: write if __name__ == "__main__": '
            "above it"
        )
    guard()
    name_home()
    with lasting_output(is_work=True), redacted_output():
        return exit_code(lambda: run_task(TaskSource.of(task), arguments))


def run_task(source: TaskSource, arguments: list[str], *, name: str | None = None) -> int:
    """Train a task once, or sweep with --multirun, by the overrides of a command line; return 0.

    `name` is the command's. Errors: InputError; whatever the task raises.
    """
    os.environ[TASK_VARIABLE] = f"{source.script or source.module}:{source.name}"
    run(source, arguments, name=name or f"python {Path(source.script or '').name}")
    return 0


def run(source: Source, arguments: list[str], *, name: str) -> None:
    """Compose a task's config with overrides, and train it, or sweep it with --multirun."""
    task = source.load()
    conf = _conf(source)
    store_config(task, conf)
    app = hydra_app.App(conf, CONFIG_NAME, parameters=task.parameters.types)
    hydra_app.run(hydra_task(source), arguments, Layout(project_root()), app, name=name)


def hydra_task(source: Source) -> HydraTask:
    """Return a task as Hydra and a sweep call it."""
    options = source.load().options
    return HydraTask(
        partial(train_task, source),
        check=partial(check, source),
        warm_up=partial(warm_up, source),
        preload=(*PRELOAD, *options.preload),
        command=("runback", "train", *source.words) if source.words else (),
        place=source.as_dict(project_root()),
    )


def store_config(task: Task, conf: Path | None) -> None:
    """Put the config of a task into Hydra's store. Errors: InputError for a function that is no task's."""
    store = ConfigStore.instance()
    store.store(name=f"{CONFIG_NAME}_schema", node=config_schema(task))
    has_file = conf is not None and (conf / f"{CONFIG_FILE}.yaml").is_file()
    seed = "${seed}" if "seed" in task.parameters.types else 0
    objectives = task.objectives
    sweeper: dict[str, Any] = {
        "name": "${now:%Y-%m-%d_%H-%M-%S}",
        "experiment": "${run.experiment}",
        "seed": "${run.seed}",
    }
    length = next((name for name in LENGTHS if name in task.parameters.types), None)
    if length is not None:
        sweeper["max_resource"] = f"${{{length}}}"
    sweeper["direction"] = None  # nobody can guess the better one of a value without a name
    if objectives:
        names, directions = [*objectives], [*objectives.values()]
        sweeper["objective"] = names[0] if len(names) == 1 else names
        sweeper["direction"] = directions[0] if len(names) == 1 else directions
    mlruns = "${oc.env:RUNBACK_MLRUNS}"
    node = {
        "defaults": [
            f"{CONFIG_NAME}_schema",
            *([CONFIG_FILE] if has_file else []),
            "_self_",
            {"override hydra/sweeper": "runback"},
            {"override hydra/job_logging": "none"},
            {"override hydra/hydra_logging": "none"},
        ],
        "run": {"seed": seed, "experiment": task.name},
        "hydra": {
            "help": {"app_name": task.name},
            "run": {"dir": mlruns + "/runs/${now:%Y-%m-%d_%H-%M-%S_%f}"},
            "sweep": {"dir": mlruns + "/sweeps/${hydra.sweeper.name}", "subdir": "${hydra.job.num}"},
            "sweeper": sweeper,
        },
    }
    store.store(name=CONFIG_NAME, node=OmegaConf.create(node))


def config_schema(task: Task) -> type:
    """Return the dataclass that a task's config is checked against: its parameters, and `run`."""
    run = RunConfig(**task.options.run)  # type: ignore[arg-type]
    keys = [("run", RunConfig, dataclasses.field(default_factory=lambda: run))]
    return dataclasses.make_dataclass(task.name, keys, bases=(task.parameters.schema,))


def train_task(source: Source, cfg: DictConfig) -> Any:
    """Train a task by a config that Hydra has composed, as a trial or as a single run; return its values."""
    from runback.runs.live.run import RunContext, train

    task, client = source.load(), trials.current()
    folder, layout = Path(HydraConfig.get().runtime.output_dir), Layout(project_root())
    if client is not None and client.trial.previous_run_id is not None:
        holding: Any = continued(folder, client.trial, layout)
    else:
        holding = fresh_folder(folder, is_own=client is None)
    with holding as before:
        spec = composed_spec(task, cfg)
        arguments = task.parameters.arguments(spec.config)
        if client is None:
            _refuse_deleted_experiment(spec)
        continuation, tags = before or (None, {})
        context = RunContext(
            source.as_dict(layout.root),
            swept_objectives(task.objectives_in(spec.config)),
            client,
            None if continuation is None else lambda: continuation.run,
            None if continuation is None else continuation.checkpoint,
            tags=tags,
        )
        trained = train(lambda run: task.function(run, **arguments), spec, context)
    if client is None:
        say(f"run {trained.run_id}")
    return trained.values[0] if len(trained.values) == 1 else trained.values


def composed_spec(task: Task, cfg: DictConfig) -> RunSpec:
    """Return the training that Hydra has composed. Errors: InputError."""
    hydra, client = HydraConfig.get(), trials.current()
    refuse_changed_text(OmegaConf.to_container(hydra.overrides.task), cfg)  # type: ignore[arg-type]
    refuse_unread(cfg, config_schema(task))
    overrides = written_overrides(hydra.overrides.task)
    layout = Layout(project_root())
    return task_spec(
        resolved_config(task, cfg, layout),
        share=available_cores() if client is None else client.trial.threads,
        name=_name(task, cfg, overrides) if client is None else client.trial.label.name,
        choices=_choices(),
        overrides=overrides,
        folder=Path(hydra.runtime.output_dir),
        layout=layout,
        immaterial=task.options.immaterial,
    )


def _choices() -> dict[str, str]:
    """Return the choice in each of the app's config groups."""
    chosen = HydraConfig.get().runtime.choices.items()
    return {str(group): str(choice) for group, choice in chosen if not str(group).startswith("hydra/")}


def resolved_config(task: Task, cfg: DictConfig, layout: Layout) -> DictConfig:
    """Return a config as the task has it used and recorded."""
    resolve = task.options.resolve
    return cfg if resolve is None else resolve(cfg, layout.root)


def _refuse_deleted_experiment(spec: RunSpec) -> None:
    """Refuse an experiment that was deleted, before the data is read, in a store that exists. StoreError."""
    if os.environ.get("MLFLOW_TRACKING_URI") or spec.layout.database.exists():
        from runback.tracking.store import find_experiment, open_store

        find_experiment(open_store(spec.layout), spec.experiment, _experiment_key(spec))


def _experiment_key(spec: RunSpec) -> str:
    return spec.references.get("experiment", "run.experiment")


def _name(task: Task, cfg: DictConfig, overrides: Sequence[str]) -> str:
    """Name a run after its task, or groups' choices, and the numbers asked for: `train epochs=5`."""
    asked = {one.lstrip("+").partition("=")[0] for one in overrides}
    numbers = {
        key: float(value)
        for key, value in flatten(resolved(cfg))
        if key in asked and isinstance(value, int | float) and not isinstance(value, bool)
    }
    chosen = _choices()
    named = {group: chosen[group] for group in task.options.named_by} or {"task": task.name}
    return run_name({**named, **numbers})


def check(source: Source, cfg: DictConfig, threads: int) -> None:
    """Refuse a config whose values the task does not take, as far as it can tell: see `HydraTask`."""
    from runback.tracking.store import find_experiment, open_store

    task, spec = source.load(), _spec_ahead(source, cfg, threads)
    arguments = task.parameters.arguments(spec.config)
    if not task.options.check:
        return
    from runback.runs.live.run import rehearsed

    notices, data = rehearsed(lambda run: task.function(run, **arguments), spec)
    find_experiment(open_store(spec.layout), spec.experiment, _experiment_key(spec))
    client = trials.current()
    if client is not None:
        client.notice(notices)
        if data is not None:
            client.note_data(data)


def warm_up(source: Source, cfg: DictConfig, threads: int) -> None:
    """Do ahead what takes long the first time: see `HydraTask`."""
    from runback.runs.live.recorded_code import code_here
    from runback.tracking.store import open_store

    layout = Layout(project_root())
    code_here(layout.root)
    if layout.database.exists():
        with contextlib.suppress(StoreError):
            open_store(layout, is_prepared=True)  # MLflow keeps it open
    task = source.load()
    own = task.options.warm_up
    if own is not None:
        from runback.runs.live.run import rehearse

        spec = _spec_ahead(source, cfg, threads)
        arguments = task.parameters.arguments(spec.config)
        rehearse(lambda run: own(run, **arguments), spec)


def _spec_ahead(source: Source, cfg: DictConfig, threads: int) -> RunSpec:
    """Return a training by a config that is not trained; it has so many threads, whatever the config says.

    Frameworks fix their threads once a process, and one process checks several configs.
    """
    layout, task = Layout(project_root()), source.load()
    refuse_unread(cfg, config_schema(task))
    spec = task_spec(
        resolved_config(task, cfg, layout),
        share=threads,
        name=task.name,
        choices=_choices() if HydraConfig.initialized() else {},
        overrides=(),
        folder=layout.runs,
        layout=layout,
        immaterial=task.options.immaterial,
    )
    return replace(spec, threads=threads)


def _conf(source: Source) -> Path | None:
    """Return the folder `conf` beside a task's file; None where there is none."""
    file = source.file
    folder = None if file is None else file.parent / "conf"
    return folder if folder is not None and folder.is_dir() else None
