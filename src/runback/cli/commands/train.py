"""`runback train`: trains the classifier or a script once, sweeps with --multirun, or goes on with a run."""

from pathlib import Path

from runback.errors import InputError
from runback.runs.schema import RECORD
from runback.runs.tasks.task_source import NAMED, TaskSource
from runback.system.options import Parser
from runback.system.stop_signals import stop_on_signals
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root


def main(argv: list[str]) -> int:
    """Run `runback train`."""
    if any(argument.startswith("resume=") for argument in argv):
        return _resume(argv)
    if argv and NAMED.fullmatch(argv[0]):
        from runback.runs.tasks.script_command import run_task

        return run_task(TaskSource.named(argv[0]), argv[1:], name=f"runback train {argv[0]}")
    from runback.cli import classifier_app

    parser = Parser(prog="runback train", add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)  # as a sweep writes it: best_config.yaml
    options, others = parser.parse_known_args(argv)
    layout = Layout(project_root())
    classifier_app.run(others, layout, name="runback train", config=options.config)
    return 0


def _resume(argv: list[str]) -> int:
    from runback.runs.tasks.hydra_app import enter_project

    others = [argument for argument in argv if not argument.startswith("resume=")]
    if others or len(argv) > 1:
        argument = others[0] if others else argv[1]
        raise InputError(
            f"resume=RUN stands alone, a run goes on with the config it began with; got {argument!r}"
        )
    layout = Layout(project_root())
    enter_project(layout)
    with stop_on_signals():
        run_id = resume(argv[0].removeprefix("resume="), layout)
    say(f"run {run_id}")
    return 0


def resume(reference: str, layout: Layout) -> str:
    """Train an unfinished run to its end, from its newest checkpoint, or from its beginning if it has none.

    Returns the run's ID. Errors: InputError, with the run unchanged, when it cannot go on: it is finished or
    running, was made elsewhere, has other data now or a checkpoint that does not fit it.
    """
    from runback.runs.resume import compare_now, unfinished
    from runback.runs.started.start_again import resume_started
    from runback.runs.started.started_task import is_started
    from runback.runs.stored_run import find_recorded
    from runback.runs.tasks.train_again import train_again

    found = find_recorded(reference, layout)
    if RECORD in found.files.names and is_started(found.record):
        resume_started(found, layout)
        return found.id
    with unfinished(reference, layout) as run:
        recorded = run.recorded
        train_again(
            recorded,
            run.folder,
            recorded.name,
            layout,
            on_record=compare_now(recorded),
            reopened=lambda: run.reopened().run,
            checkpoint=run.checkpoint,
        )
    return recorded.id
