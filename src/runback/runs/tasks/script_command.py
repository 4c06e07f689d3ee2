"""A task on the command line, for one run or for a sweep: `python train.py KEY=VALUE… [--multirun]`."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from runback.runs.live.run_spec import RunSpec
from runback.runs.run_folder import continued, fresh_folder
from runback.runs.tasks import hydra_app
from runback.runs.tasks.script_preload import TASK_VARIABLE
from runback.runs.tasks.task import Task
from runback.runs.tasks.task_source import TaskSource
from runback.runs.tasks.task_spec import task_spec
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
    job = HydraTask(partial(train_task, source), check=partial(check, source), preload=PRELOAD)
    app = hydra_app.App(conf, CONFIG_NAME, parameters=task.parameters.types)
    hydra_app.run(job, arguments, Layout(project_root()), app, name=name)


def store_config(task: Task, conf: Path | None) -> None:
    """Put the config of a task into Hydra's store. Errors: InputError for a function that is no task's."""
    store = ConfigStore.instance()
    keys = [("run", RunConfig, dataclasses.field(default_factory=RunConfig))]
    schema = dataclasses.make_dataclass(task.name, keys, bases=(task.parameters.schema,))
    store.store(name=f"{CONFIG_NAME}_schema", node=schema)
    has_file = conf is not None and (conf / f"{CONFIG_FILE}.yaml").is_file()
    seed = "${seed}" if "seed" in task.parameters.types else 0
    objectives = task.objectives
    sweeper: dict[str, Any] = {
        "name": "${now:%Y-%m-%d_%H-%M-%S}",
        "experiment": "${run.experiment}",
        "seed": "${run.seed}",
    }
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
            "run": {"dir": mlruns + "/runs/${now:%Y-%m-%d_%H-%M-%S_%f}"},
            "sweep": {"dir": mlruns + "/sweeps/${hydra.sweeper.name}", "subdir": "${hydra.job.num}"},
            "sweeper": sweeper,
        },
    }
    store.store(name=CONFIG_NAME, node=OmegaConf.create(node))


def train_task(source: Source, cfg: DictConfig) -> Any:
    """Train a task by a config that Hydra has composed, as a trial or as a single run; return its values."""
    from runback.runs.live.run import RunContext, train

    task, client = source.load(), trials.current()
    spec = composed_spec(task, cfg)
    arguments = task.parameters.arguments(spec.config)
    if client is not None and client.trial.previous_run_id is not None:
        holding: Any = continued(spec.folder, client.trial, spec.layout)
    else:
        holding = fresh_folder(spec.folder, is_own=client is None)
    with holding as before:
        continuation, tags = before or (None, {})
        context = RunContext(
            source.as_dict(spec.layout.root),
            [*task.objectives],
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
    choices = {str(key): str(value) for key, value in hydra.runtime.choices.items()}
    overrides = written_overrides(hydra.overrides.task)
    return task_spec(
        cfg,
        share=available_cores() if client is None else client.trial.threads,
        name=_name(task, cfg, overrides) if client is None else client.trial.label.name,
        choices={group: choice for group, choice in choices.items() if not group.startswith("hydra/")},
        overrides=overrides,
        folder=Path(hydra.runtime.output_dir),
        layout=Layout(project_root()),
    )


def _name(task: Task, cfg: DictConfig, overrides: Sequence[str]) -> str:
    """Name a run after its task and the numbers asked for: `train learning_rate=0.01`."""
    asked = {one.lstrip("+").partition("=")[0] for one in overrides}
    numbers = {
        key: float(value)
        for key, value in flatten(resolved(cfg))
        if key in asked and isinstance(value, int | float) and not isinstance(value, bool)
    }
    return run_name({"task": task.name, **numbers})


def check(source: Source, cfg: DictConfig, _threads: int) -> None:
    """Refuse a config whose values the task's parameters do not take. Errors: InputError."""
    source.load().parameters.arguments(resolved(cfg))


def _conf(source: Source) -> Path | None:
    """Return the folder `conf` beside a task's file; None where there is none."""
    file = source.file
    folder = None if file is None else file.parent / "conf"
    return folder if folder is not None and folder.is_dir() else None
