"""SLURM's jobs of a sweep, with their numbers in its folder: submitted by submitit, looked for, cancelled."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from runback.errors import InputError
from runback.system.files.regular_file import read_regular
from runback.system.files.whole_file import write_whole

WORKERS = "slurm_workers.json"
"""The file in a sweep's folder that says which jobs its workers are."""

COORDINATOR = "slurm_coordinator.json"
"""The file in a sweep's folder that says which job its coordinator is, where it is one."""

FOLDER = "slurm"
"""The folder in a sweep's where submitit keeps its files, and the jobs' output."""

ASKING = 30.0
"""Seconds that SLURM's controller gets to do something."""

ANSWERING = 5.0
"""Seconds that it gets to answer: a coordinator's trials wait meanwhile."""

STARTING = 60.0
"""Seconds in which a controller that is started again has to answer."""

LEAVE = signal.SIGUSR2
"""The signal near a job's time limit."""

ALIVE = ("PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "REQUEUED", "RESIZING", "STOPPED")
"""The states of a job that may yet run."""


@dataclass(frozen=True)
class SlurmSettings:
    """What each worker asks SLURM for."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    partition: str | None = None
    minutes: Annotated[int, Field(ge=1)] = 60
    """The time limit of a worker: near it, it is requeued, and its trial goes on."""
    cpus_per_trial: Annotated[int, Field(ge=1)] = 1
    gpus_per_trial: Annotated[int, Field(ge=0)] = 0
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    leave_seconds: Annotated[int, Field(ge=10)] = 90
    """Seconds before the time limit at which a worker's trial keeps a checkpoint."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Other options of sbatch, by name."""

    def __post_init__(self) -> None:
        if self.leave_seconds >= 60 * self.minutes:
            raise ValueError(
                f"hydra.sweeper.engine.leave_seconds={self.leave_seconds} must be less than the time limit, "
                f"minutes={self.minutes} ({60 * self.minutes} s)"
            )


def submit(
    settings: SlurmSettings, folder: Path, calls: Sequence[Callable[[], None]], **resources: Any
) -> str:
    """Submit an array job with an element for each call; return its number. Errors: InputError."""
    if shutil.which("sbatch") is None:
        raise InputError("the engine slurm needs SLURM's commands on this machine: there is no sbatch")
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise InputError("the engine slurm needs submitit: pip install 'runback[slurm]'") from None
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    (folder / FOLDER).chmod(0o700)  # it has pickles in it
    asked = {} if settings.partition is None else {"partition": settings.partition}
    try:
        # Python in the shell's place: signals go to it, and not to the processes that it starts.
        executor = SlurmExecutor(folder / FOLDER, python=f"exec {shlex.quote(sys.executable)}")
        executor.update_parameters(
            job_name=f"runback {folder.name}"[:100],
            time=settings.minutes,
            **asked,
            **resources,
            use_srun=False,
            stderr_to_stdout=True,
            additional_parameters={
                "signal": f"B:{LEAVE.name.removeprefix('SIG')}@{settings.leave_seconds}",
                "requeue": True,
                **settings.more,
            },
        )
        jobs = executor.submit_array([*calls])
    except (ValueError, RuntimeError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"SLURM takes no job of this sweep: {reason}") from error
    return str(jobs[0].job_id).partition("_")[0]


def requeue(job: str) -> None:
    """Put a job back into the queue: this one ends. Errors: CalledProcessError, TimeoutExpired."""
    subprocess.run(["scontrol", "requeue", job], check=True, timeout=ASKING)  # noqa: S603, S607


def write_jobs(folder: Path, name: str, jobs: Sequence[str]) -> None:
    """Write jobs' numbers into the sweep's folder. Raises OSError."""
    write_whole(folder / name, json.dumps({"jobs": [*jobs]}).encode())


def read_jobs(folder: Path, name: str) -> list[str]:
    """Return the jobs' numbers in the sweep's folder, where this user has written them."""
    try:
        if (folder / name).lstat().st_uid != os.getuid():
            return []
        jobs = json.loads(read_regular(folder / name))["jobs"]
        return [job for job in jobs if isinstance(job, str) and job.isascii() and job.isdecimal()]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []


def states(jobs: Sequence[str]) -> list[str] | None:
    """Return the states of those elements of jobs that may yet run; None where nobody says."""
    found = []
    for job in jobs:  # squeue knows nothing of all of them where it does not know one
        shown = asked("squeue", "--noheader", "--array", "--format=%T", f"--jobs={job}")
        if shown is None:
            return None
        found += [state for state in shown.split() if state in ALIVE]
    return found


def why_pending(jobs: Sequence[str]) -> str:
    """Return SLURM's reason where all that is left of jobs waits in its queue; empty: it does not."""
    found = []
    for job in jobs:
        shown = asked("squeue", "--noheader", "--array", "--format=%T %r", f"--jobs={job}")
        found += re.findall(r"^(\w+) (\w+)", shown or "", re.MULTILINE)
    is_pending = found and all(state == "PENDING" for state, _ in found)
    return ", ".join(sorted({reason for _, reason in found})) if is_pending else ""


def states_in_time(jobs: Sequence[str]) -> list[str]:
    """Return the states of those elements of jobs that may yet run. Errors: InputError where nobody says."""
    deadline = time.monotonic() + STARTING
    while (found := states(jobs)) is None and time.monotonic() < deadline:
        time.sleep(1.0)
    return answered(found)


def answered(states: list[str] | None) -> list[str]:
    """Return states that somebody has said. Errors: InputError."""
    if states is None:
        raise InputError("SLURM's controller does not answer: squeue fails")
    return states


def cancel(folder: Path, name: str) -> bool:
    """Cancel the jobs whose numbers are in the sweep's folder, and forget them; False: nobody answers."""
    jobs = read_jobs(folder, name)
    if jobs and asked("scancel", *jobs, timeout=ASKING) is None:
        return False
    (folder / name).unlink(missing_ok=True)
    return True


def asked(*command: str, timeout: float = ANSWERING) -> str | None:
    """Return what SLURM's controller answers, nothing for a job that it does not know; None: no answer."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode == 0:
        return done.stdout
    is_gone = "Invalid job id" in done.stderr or "already completing or completed" in done.stderr
    return "" if is_gone else None
