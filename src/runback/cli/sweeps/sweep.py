"""Starts or continues a sweep of `sweeps/` or of a script: `runback sweep NAME [OVERRIDE…]`."""

import itertools
import re
import shlex
import shutil
import sys
from pathlib import Path

from runback.classifier import packaged
from runback.cli import classifier_app
from runback.cli.sweeps.sweep_folder import folder_of
from runback.errors import InputError, Stopped
from runback.runs.tasks.script_command import run_task
from runback.runs.tasks.sweep_files import sweep_names
from runback.runs.tasks.task_source import NAMED, TaskSource
from runback.sweeping.control.detached import detaching
from runback.sweeping.reporting.follow_up_commands import arguments_of
from runback.system.config.override_text import quoted
from runback.system.options import Parser
from runback.system.secrecy.config_secrets import masked_override
from runback.system.text.listing import did_you_mean
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.tracking_server import given_words


def main(argv: list[str]) -> int:
    """Run `runback sweep`."""
    parser = Parser(prog="runback sweep", description=__doc__)
    parser.add_argument("name", help="a file of sweeps/, without .yaml; or a script with a task, as train.py")
    parser.add_argument(
        "overrides", nargs="*", default=[], help="as for runback train; hydra.sweeper.* for the sweep itself"
    )
    parser.add_argument("--new", action="store_true", help="a fresh study: NAME-2, then NAME-3, ...")
    parser.add_argument(
        "--extend", action="store_true", help="go on although ranges have become wider, or choices more"
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="return at once: it goes on in the background, or in SLURM",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        metavar="KEY=VALUE",
        help="change n_workers, n_trials, timeout while it runs",
    )
    parser.add_argument(
        "--enqueue", action="append", metavar="OVERRIDES", help="train this point next, while it runs"
    )
    options = parser.parse_intermixed_args(argv)
    layout = Layout(project_root())
    overrides: list[str] = options.overrides
    if options.set or options.enqueue:
        if overrides or options.new or options.extend or options.detach:
            raise InputError("--set and --enqueue ask a running sweep for something: they stand alone")
        return _ask(options.name, options.set or [], options.enqueue or [])
    source = TaskSource.named(options.name) if NAMED.fullmatch(options.name) else None
    file = _file(layout, options.name) if source is None else _chosen(overrides) or source.name
    name = _named(overrides) or (options.name if source is None else file)

    def place(name: str) -> list[str]:
        if source is None:
            return arguments_of(file, name)
        return [options.name, *([] if name == file else [f"hydra.sweeper.name={quoted(name)}"])]

    if options.new:
        name = _unused(layout, _named(overrides) or file)
        say(f"sweep {' '.join(place(name))}")  # what to call it by, to go on with it
    arguments = ["--multirun", *overrides, f"hydra.sweeper.name={quoted(name)}"]
    if options.extend:
        arguments.append("hydra.sweeper.extend=true")
    more = [*given_words(), *(["--extend"] if options.extend else [])]
    others = [one for one in overrides if _named([one]) is None]
    words = [sys.executable, "-m", "runback", "sweep", *place(name), *others, *more]
    try:
        with detaching(words if options.detach else None):
            if source is None:
                arguments.insert(1, f"+sweeps={file}")
                classifier_app.run(arguments, layout, name="runback sweep")
            else:
                run_task(source, arguments, name=f"runback sweep {options.name}")
    except (KeyboardInterrupt, Stopped):
        again = shlex.join([*place(name), *map(masked_override, others), *more])
        say(f"to go on: {_command()} sweep {again}", stream=sys.stderr)
        raise
    if options.detach:
        return 0
    _print_next_steps(layout.sweep(name), name, is_evaluated=source is None)
    return 0


def _ask(name: str, changes: list[str], points: list[str]) -> int:
    """Ask a running sweep for changes, and to train points next. Errors: InputError."""
    from runback.sweeping.control.mailbox import ask
    from runback.sweeping.control.request import AddPoint, change_of

    folder = folder_of(name)
    for point in points:
        if not point.strip():
            raise InputError(
                "--enqueue takes a point's overrides, as 'optimizer.learning_rate=1e-3 …'; got none"
            )
    if changes:
        ask(folder, name, change_of(changes))
        say(f"sweep {name} goes on with {' '.join(changes)}")
    for point in points:
        ask(folder, name, AddPoint(point))
        say(f"sweep {name} trains next: {point}")
    return 0


def _file(layout: Layout, name: str) -> str:
    """Return which file of `sweeps/` a sweep is from: NAME's own; for NAME-2, a fresh study, that of NAME."""
    known = sweep_names(layout.root, packaged.FOLDER)
    stem = re.sub(r"-\d+$", "", name)
    if name in known:
        return name
    if stem in known and layout.sweep(name).exists():
        return stem
    hint = did_you_mean(name, known, f"expected one of {', '.join(known) or 'none'}")
    raise InputError(f"unknown sweep '{name}': {hint}")


def _unused(layout: Layout, name: str) -> str:
    """Return the first of NAME, NAME-2, NAME-3, ... that has no study."""
    from runback.sweeping.study.study_store import has_study

    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not has_study(layout.sweep(name)))


def _named(overrides: list[str]) -> str | None:
    """Return the name that overrides give the sweep, if they do."""
    named = [override for override in overrides if override.startswith("hydra.sweeper.name=")]
    return named[-1].split("=", 1)[1].strip("'\"") if named else None


def _chosen(overrides: list[str]) -> str | None:
    """Return the file of `sweeps/` that overrides choose for a script, if they do."""
    chosen = [override for override in overrides if override.startswith("+sweeps=")]
    return chosen[-1].split("=", 1)[1].strip("'\"") if chosen else None


def _print_next_steps(folder: Path, name: str, *, is_evaluated: bool) -> None:
    from runback.sweeping.confirm.winner import winners_run
    from runback.sweeping.study.attributes import RUN_ID
    from runback.sweeping.study.study_store import best_trials, read_study

    study = read_study(folder, name)
    best, winner = best_trials(study, 1), winners_run(study)
    run_id = winner or (best[0].user_attrs.get(RUN_ID) if best else None)
    if run_id is None:
        return
    named = shlex.join([str(run_id), *given_words()])
    measure = [f"  measure it on the test split   {_command()} evaluate {named}"]
    lines = [
        f"best run {run_id}" if winner is None else f"winner's run {run_id}, on a fresh seed",
        *(measure if is_evaluated else []),
        f"  run it back, and prove it      {_command()} reproduce {named}",
        f"  see all runs                   {' '.join([_command(), 'ui', *given_words()])}",
    ]
    say(*lines)


def _command() -> str:
    """Return what a shell needs to find this command: its name, or its path in an inactive environment."""
    installed = Path(sys.executable).with_name("runback")
    if shutil.which("runback") or not installed.exists():
        return "runback"
    path = installed.relative_to(Path.cwd()) if installed.is_relative_to(Path.cwd()) else installed
    return shlex.quote(str(path))
