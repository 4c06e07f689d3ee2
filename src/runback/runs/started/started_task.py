"""The program whose run `runback.start` has given, as a record names it, and its command line."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runback.runs.live.run_spec import RunSpec
from runback.runs.schema import RunRecord
from runback.sweeping.trials.trial import TrialClient
from runback.system.config.written_config import written_overrides
from runback.system.main_program import MainProgram
from runback.system.secrecy import redacted
from runback.system.secrecy.config_secrets import masked, masked_override
from runback.system.secrecy.secret_formats import HIDDEN

STARTED = "started"
"""The key of a record's task by which one is told that `runback.start` began; it has the count."""

NOT_AGAIN = ("hydra.run.", "hydra.sweep", "hydra/sweep", "hydra.mode", "hydra/launcher", "hydra.launcher")
"""Beginnings of the overrides that say where an app writes, or that it sweeps."""

FLAG = re.compile(r"--?([A-Za-z][\w-]*)")


def is_started(record: RunRecord) -> bool:
    """Tell whether `runback.start` began a run."""
    return STARTED in record.get("task", {})


def program_here(client: TrialClient | None) -> MainProgram | None:
    """Return the program of this process, of a trial that of its sweep; None: it cannot be started again."""
    return MainProgram.here() if client is None else MainProgram.of_sweep()


def started_task(count: int, spec: RunSpec, program: MainProgram | None) -> dict[str, str]:
    """Return the program of a run as its record names it: by its path in the project, or its module."""
    task = {STARTED: str(count)}
    if program is None:
        return {**task, "name": "an interactive session"}
    root = spec.layout.root
    if program.script is not None:
        task["script"] = _within(Path(program.script).resolve(), root)
    else:
        task["module"] = str(program.module)
    if spec.output is not None:
        task["output"] = _within(spec.output.resolve(), root)
    return {**task, "name": program.name}


def arguments_here(program: MainProgram, hydra: Any) -> list[str]:
    """Return the command line that starts this training alone, without secrets.

    Of a Hydra app these are its overrides, also where it has several jobs; of another script its arguments.
    """
    if hydra is None:
        return without_secrets(sys.argv[1:])
    own = [one for one in written_overrides(hydra.overrides.hydra) if not one.startswith(NOT_AGAIN)]
    return [*program.flags, *own, *written_overrides(hydra.overrides.task)]


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """Return arguments with `***` for what is secret: `--api-key=x`, `--api-key x` and `api_key=x` alike."""
    found: list[str] = []
    key = ""
    for one in arguments:
        if key:
            (hidden,) = masked({key: one})[0].values()
            found.append(redacted(str(hidden)))
            key = ""
            continue
        flag = FLAG.fullmatch(one)
        key = flag[1].replace("-", "_") if flag else ""
        name, sign, value = one.partition("=")
        bare = name.lstrip("-").replace("-", "_")
        shown = masked_override(f"{bare}={value}").partition("=")[2] if sign else ""
        found.append(f"{name}={shown}" if sign else redacted(one))
    return found


def lacks_secrets(arguments: Sequence[str]) -> bool:
    """Tell whether a command line was written without its secrets."""
    return any(HIDDEN in one for one in arguments)


def place(task: Mapping[str, str]) -> str:
    """Return the script or the module of a run's record, for a person."""
    return task.get("script") or f"-m {task.get('module')}"


def _within(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
