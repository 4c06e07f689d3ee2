"""Trains the run of a task again: to reproduce it, or from where it was stopped."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.runs.live.frameworks import use_recorded_backend
from runback.runs.live.run import RunContext, Trained, train
from runback.runs.schema import CONFIG, RunRecord
from runback.runs.stored_run import StoredRun
from runback.runs.tasks.script_command import config_schema, resolved_config
from runback.runs.tasks.task import Task
from runback.runs.tasks.task_source import CLASSIFIER, TaskSource, refuse_outside
from runback.runs.tasks.task_spec import recorded_task_spec
from runback.system.text.terminal import say
from runback.tracking.layout import Layout

if TYPE_CHECKING:
    from runback.runs.checkpoint import Checkpoint
    from runback.tracking.write.run_writer import RunWriter


def _on_schema(task: Task, recorded: StoredRun) -> DictConfig:
    """Return a run's config with what the task's parameters have become since. Errors: InputError."""
    config = recorded.config.copy()
    for key in task.options.run:  # these were references, and are again
        if OmegaConf.select(config, f"run.{key}") is not None:
            del config.run[key]
    schema = OmegaConf.structured(config_schema(task))
    OmegaConf.set_struct(schema, False)  # a key of the user's own, which others referred to
    try:
        return OmegaConf.merge(schema, config)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{CONFIG} of run {recorded.id} cannot be used: {reason}") from error


def train_again(
    recorded: StoredRun,
    folder: Path,
    name: str,
    layout: Layout,
    *,
    on_record: Callable[[RunRecord], None],
    threads: int | None = None,
    last_epoch: int | None = None,
    tags: Mapping[str, str] | None = None,
    reopened: "Callable[[], RunWriter] | None" = None,
    checkpoint: "Checkpoint | None" = None,
    stream: TextIO | None = None,
) -> Trained:
    """Train what a task's run was, with the code that is here; for the others see `RunContext`.

    The caller holds the folder. Errors: InputError where the task is not here any more.
    """
    place = recorded.record.get("task") or CLASSIFIER.as_dict(layout.root)
    source = TaskSource.recorded(place, layout.root)
    if not recorded.is_own:
        refuse_outside(place, layout.root, recorded.id)
    chosen = use_recorded_backend(recorded.record["environment"])
    if chosen is not None:
        say(chosen, stream=stream)
    task = source.load()
    config = resolved_config(task, _on_schema(task, recorded), layout)
    immaterial = task.options.immaterial
    spec = recorded_task_spec(recorded, config, folder, name, layout, threads, immaterial)
    arguments = task.parameters.arguments(spec.config)
    context = RunContext(
        place,
        task.objectives_in(spec.config),
        reopened=reopened,
        checkpoint=checkpoint,
        last_epoch=last_epoch,
        tags=tags or {},
        on_record=on_record,
        stream=stream,
    )
    return train(lambda run: task.function(run, **arguments), spec, context)
