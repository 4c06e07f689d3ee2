"""Sweeps that go on where nobody waits for them: in the background of this machine, or as a SLURM job."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import psutil

from runback.errors import InputError
from runback.system.files.process_owner import mark_of
from runback.system.files.whole_file import write_whole
from runback.system.text.terminal import say

OUTPUT = "sweep.log"
"""The file in a sweep's folder with what its process prints."""

_words: ContextVar[list[str] | None] = ContextVar("detached", default=None)


@contextmanager
def detaching(words: list[str] | None) -> Iterator[None]:
    """Let a sweep that this block begins go on by itself, as the command `words`, when it is checked."""
    token = _words.set(words)
    try:
        yield
    finally:
        _words.reset(token)


def is_detaching() -> bool:
    """Tell whether a sweep is to go on by itself."""
    return _words.get() is not None


def detach(folder: Path, name: str, engine: Mapping[str, Any] | None) -> None:
    """Start the process that goes on with a sweep, and say where it is.

    Errors: InputError where one does already, or waits in SLURM's queue to do it.
    """
    from runback.sweeping.control.presence import PROCESS, SweepWatch
    from runback.sweeping.engine_settings import remote_settings
    from runback.sweeping.trials.remote.slurm_jobs import COORDINATOR
    from runback.sweeping.watching import live_file

    words = _words.get() or []
    presence = SweepWatch(folder).look(None)
    if presence == "unknown":
        raise InputError(
            f"nobody knows whether sweep {name} runs: SLURM does not answer, and {folder / COORDINATOR} says "
            "which job it was: remove that where it has ended"
        )
    if presence != "gone":
        state = "waits in SLURM's queue" if presence == "queued" else "is running"
        raise InputError(f"sweep {name} {state} already: runback attach {name} shows it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / live_file.FILE).unlink(missing_ok=True)  # of an earlier start
    output = folder / OUTPUT
    if engine is not None and engine["name"] == "slurm":
        from runback.sweeping.trials.remote.slurm_coordinator import submit_coordinator

        where = f"as SLURM's job {submit_coordinator(remote_settings(engine), folder, words, output)}"
    else:
        with output.open("ab") as stream:
            process = subprocess.Popen(  # noqa: S603 - this command again
                words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with suppress(psutil.NoSuchProcess):  # it has failed at once
            write_whole(folder / PROCESS, mark_of(process.pid).encode())
        where = f"in the background, process {process.pid}"
    say(
        f"sweep {name} goes on {where}; it prints into {output}",
        f"  look at it   runback attach {name}",
        f"  stop it      runback stop {name}",
    )
