"""Starts the script of a run again, as a child process: to reproduce the run, or to go on with it."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from runback.errors import InputError, TrainingError
from runback.runs.live.frameworks import recorded_backend
from runback.runs.live.run import Trained
from runback.runs.resume import compare_now, refuse_unresumable
from runback.runs.schema import CONFIG, RunRecord
from runback.runs.started.again_channel import Again, AgainLine
from runback.runs.started.started_task import STARTED, lacks_secrets, place
from runback.runs.stored_run import StoredRun
from runback.runs.tasks.task_source import refuse_outside
from runback.system.child_process import run_child
from runback.system.config.override_text import quoted
from runback.tracking.layout import Layout

QUIET = "TF_CPP_MIN_LOG_LEVEL"
"""The environment variable that runback's own commands set, and a script may not have had."""


def reproduce_started(
    recorded: StoredRun,
    folder: Path,
    name: str,
    layout: Layout,
    *,
    on_record: Callable[[RunRecord], None],
    threads: int | None = None,
    last_epoch: int | None = None,
    tags: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
) -> Trained:
    """Start a run's script again, as a new run in `folder`; for the others see `RunContext`.

    Ends the process with the script's exit code where it ends before its run has. Errors: InputError where
    the script is not here any more, or cannot be started again; whatever `on_record` raises.
    """
    command = _command(recorded, layout, output=folder)
    again = (recorded.reference, False, str(folder), name, threads or _threads(recorded), last_epoch)
    trained = _run(command, recorded, again, tags or {}, on_record, stream)
    if trained is None:
        raise InputError(f"{place(recorded.record['task'])} has ended without a run by runback.start")
    return trained


def resume_started(recorded: StoredRun, layout: Layout) -> None:
    """Start the script of an unfinished run of one's own again, which goes on with that.

    Errors: InputError, with the run unchanged, as `unfinished`, and where the run is not the user's own.
    """
    folder = refuse_unresumable(recorded, layout)
    if not recorded.is_own:
        raise InputError(
            f"run {recorded.id} was not recorded by you, and its script is not started: see "
            "`runback reproduce`"
        )
    output = recorded.record["task"].get("output")
    command = _command(recorded, layout, output=folder if output is None else layout.root / output)
    again = (recorded.id, True, str(folder), recorded.name, _threads(recorded), None)
    _run(command, recorded, again, {}, compare_now(recorded), None)


def command_of(recorded: StoredRun) -> list[str]:
    """Return the words after `python` by which a run's script is started. Errors: InputError."""
    task = recorded.record["task"]
    if "script" not in task and "module" not in task:
        raise InputError(
            f"run {recorded.id} was started in {task.get('name', 'an interactive session')}: there is no "
            "script to start again"
        )
    if task[STARTED] != "1":
        raise InputError(
            f"run {recorded.id} is number {task[STARTED]} of those that its script started: only a "
            "script's first run can be started again"
        )
    arguments = list(recorded.overrides)
    if lacks_secrets(arguments) or recorded.record["secrets"]:
        raise InputError(
            f"the command line or {CONFIG} of run {recorded.id} was written without its secrets: take them "
            "from the environment in the script, and train it anew"
        )
    return [*([task["script"]] if "script" in task else ["-m", task["module"]]), *arguments]


def _command(recorded: StoredRun, layout: Layout, *, output: Path) -> list[str]:
    """Return the command that starts a run's script. Errors: InputError."""
    words, task = command_of(recorded), recorded.record["task"]
    if not recorded.is_own:
        refuse_outside(task, layout.root, recorded.id)
    if "script" in task:
        script = layout.root / task["script"]
        if not script.is_file():
            raise InputError(f"there is no script {str(script)!a:.300}, which run {recorded.id} is of")
        words[0] = str(script)
    if "output" in task:  # Hydra's
        words += [f"hydra.run.dir={quoted(str(output))}", "hydra.mode=RUN"]
    return [sys.executable, *words]


def _threads(recorded: StoredRun) -> int:
    return recorded.record["threads"]["training"]


def _run(
    command: Sequence[str],
    recorded: StoredRun,
    asked: tuple[str, bool, str, str, int, int | None],
    tags: Mapping[str, str],
    on_record: Callable[[RunRecord], None],
    stream: TextIO | None,
) -> Trained | None:
    """Run a script with a line to it, and return what it has trained; None: no run has ended in it."""
    ours, theirs = socket.socketpair()
    trained: list[Trained] = []

    def talk() -> None:
        theirs.close()
        line = AgainLine(ours)
        try:
            while (message := line.receive()) is not None:
                if "record" in message:
                    on_record(message["record"])
                    line.send({"go": True})
                else:
                    facts = message["trained"]
                    trained.append(Trained(facts["run_id"], (), facts["result"]))
        finally:
            line.close()

    with ours, theirs:
        again = Again(*asked, tags, os.getpid(), theirs.fileno())
        variables = {**os.environ, **again.variables(), **recorded_backend(recorded.record["environment"])}
        if QUIET not in recorded.record["environment"]:
            variables.pop(QUIET, None)
        code = run_child(
            command, Path.cwd(), variables, talk=talk, descriptors=[theirs.fileno()], output=stream
        )
    if code < 0:
        raise TrainingError(f"the script was ended by {signal.Signals(-code).name}")
    if code:
        raise SystemExit(code)
    return trained[0] if trained else None
