"""Trains the run of a task again: to reproduce it, or from where it was stopped."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from runback.runs.live.run import RunContext, Trained, train
from runback.runs.schema import RunRecord
from runback.runs.stored_run import StoredRun
from runback.runs.tasks.task_source import TaskSource, refuse_outside
from runback.runs.tasks.task_spec import recorded_task_spec
from runback.tracking.layout import Layout

if TYPE_CHECKING:
    from runback.runs.checkpoint import Checkpoint
    from runback.tracking.write.run_writer import RunWriter


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
    spec = recorded_task_spec(recorded, folder, name, layout, threads)
    place = recorded.record["task"]
    source = TaskSource.recorded(place, layout.root)
    if not recorded.is_own:
        refuse_outside(place, layout.root, recorded.id)
    task = source.load()
    arguments = task.parameters.arguments(spec.config)
    context = RunContext(
        place,
        task.objectives,
        reopened=reopened,
        checkpoint=checkpoint,
        last_epoch=last_epoch,
        tags=tags or {},
        on_record=on_record,
        stream=stream,
    )
    return train(lambda run: task.function(run, **arguments), spec, context)
