"""Workers as the elements of SLURM's array jobs."""

import math
import os
import re
import sys
import time
from pathlib import Path

from runback.errors import InputError, TrainingError
from runback.sweeping.trials.remote import slurm_jobs
from runback.sweeping.trials.remote.slurm_jobs import ALIVE, LEAVE, WORKERS, SlurmSettings, asked
from runback.sweeping.trials.remote.worker_process import NO_COORDINATOR, WorkerProcess
from runback.sweeping.trials.remote.workers import Fate
from runback.system.text.terminal import say

ASKING_AGAIN = 5.0
"""Seconds from one question after a worker to the next."""

CHECKING_AGAIN = 20.0
"""Seconds from one question after all workers to the next."""

MOST_FRUITLESS = 3
"""How many workers are submitted in the place of each that has ended, while none finds its coordinator."""

FATES = {
    "OUT_OF_MEMORY": ("out_of_memory", "SLURM ended its job for its memory"),
    "NODE_FAIL": ("lost", "its node failed"),
    "TIMEOUT": ("lost", "its job's time was over"),
    "CANCELLED": ("stopped", "its job was cancelled"),
    "PREEMPTED": ("lost", "its job was preempted"),
}
"""What a job's end means for the trial that it had: the kind of failure, and why."""


class SlurmWorker:
    """What an element of the array runs; submitit pickles it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self) -> None:
        """Be a worker until the sweep ends, or the job's time is nearly over: then the job is requeued."""
        worker = WorkerProcess(Path(self.folder), own_name())
        worker.run()
        if worker.leaves is LEAVE:
            slurm_jobs.requeue(own_name().partition(".")[0])
        elif worker.has_found_none:
            say(f"error: {worker.unreached}")
            sys.exit(NO_COORDINATOR)


def own_name() -> str:
    """Return the name of this worker: its job, its number in the array, and how often it was requeued."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = os.environ["SLURM_JOB_ID"] if array is None else f"{array}_{task}"
    return f"{job}.{os.environ.get('SLURM_RESTART_COUNT', '0')}"


class SlurmWorkers:
    """The workers of a sweep as array jobs, which outlive its coordinator."""

    def __init__(self, settings: SlurmSettings) -> None:
        self._settings = settings
        self._jobs: list[str] = []
        self._folder: Path | None = None
        self._n = 0
        """How many there shall be: as many as were asked for, but for those that somebody has cancelled."""
        self._is_ending = False
        self._cancelled: set[str] = set()
        self._fruitless = 0
        """How many were submitted in the place of others since one was there."""
        self._checked = 0.0
        self._asked: dict[str, float] = {}
        self._trouble = ""

    def start(self, folder: Path, n: int) -> None:
        """Submit an array of as many workers as there are fewer than `n` in the queue. Errors: InputError."""
        if n == 0:
            self._is_ending = True
            return
        if self._folder is None:
            self._jobs = slurm_jobs.read_jobs(folder, WORKERS)
            alive = slurm_jobs.states_in_time(self._jobs)
        else:
            alive = slurm_jobs.answered(slurm_jobs.states(self._jobs))
        self._folder = folder
        if n > len(alive):
            self._submit(folder, n - len(alive))
        self._n = n

    def fate(self, worker: str) -> Fate | None:
        """Return how a worker has ended, as SLURM's controller says; None where it lives, or nobody knows."""
        match = re.fullmatch(r"([0-9]+(?:_[0-9]+)?)\.([0-9]+)", worker)
        if match is None:
            return Fate("lost", "its worker is gone")
        now = time.monotonic()
        if now - self._asked.get(worker, -math.inf) < ASKING_AGAIN:
            return None
        self._asked[worker] = now
        shown = asked("scontrol", "show", "job", match[1], "--oneliner")
        if shown is None:
            return None
        facts = _facts(shown)
        if not facts:
            return Fate("lost", f"its job {match[1]} is gone")
        if int(facts.get("Restarts", 0)) > int(match[2]):
            return Fate("lost", f"its job {match[1]} was requeued ({facts.get('Reason', 'None')})")
        state = facts.get("JobState", "")
        if state in ALIVE:
            return None
        kind, reason = FATES.get(
            state, ("lost", f"its job ended ({state}, exit code {facts.get('ExitCode')})")
        )
        return Fate(kind, f"{reason}: {match[1]}")

    def check(self, *, is_any_there: bool) -> None:
        """Submit others in the place of those that have ended, unless somebody has cancelled them.

        Errors: TrainingError where all have ended, and others would, too.
        """
        now = time.monotonic()
        if now - self._checked < CHECKING_AGAIN or self._folder is None or self._is_ending:
            return
        self._checked = now
        alive = {job: slurm_jobs.states([job]) for job in self._jobs}
        if any(states is None for states in alive.values()):
            return
        for job in self._jobs:
            self._count_cancelled(job)
        n_alive = sum(len(states or ()) for states in alive.values())
        self._fruitless = 0 if is_any_there else self._fruitless
        missing = self._n - n_alive
        if n_alive == 0 and not is_any_there and (missing <= 0 or self._fruitless > MOST_FRUITLESS * self._n):
            raise TrainingError(
                f"all workers have ended: SLURM has no job {', '.join(self._jobs)} any more; "
                f"what they printed is in {self._folder}/{slurm_jobs.FOLDER}"
            )
        if missing > 0:
            self._replace(self._folder, missing, [job for job, states in alive.items() if states])

    def close(self) -> None:
        """Cancel what is left of them."""
        if self._folder is not None and not slurm_jobs.cancel(self._folder, WORKERS):
            say(
                f"warning: SLURM does not answer: its jobs {', '.join(self._jobs)} may be left, which end "
                "by themselves when they find no coordinator"
            )

    def _replace(self, folder: Path, missing: int, left: list[str]) -> None:
        before, self._jobs = self._jobs, left
        try:
            self._submit(folder, missing)
        except InputError as error:
            self._jobs = before
            if str(error) != self._trouble:
                say(f"warning: no worker comes in the place of {missing} that have ended: {error}")
            self._trouble = str(error)
        else:
            self._fruitless += missing
            self._trouble = ""

    def _submit(self, folder: Path, n: int) -> None:
        own = self._settings
        gpus = {"gpus_per_node": own.gpus_per_trial} if own.gpus_per_trial else {}
        memory = {} if own.memory_gb is None else {"mem": f"{math.ceil(own.memory_gb * 1024)}M"}
        calls = [SlurmWorker(str(folder))] * n
        job = slurm_jobs.submit(own, folder, calls, cpus_per_task=own.cpus_per_trial, **gpus, **memory)
        self._jobs = [*self._jobs, job]
        slurm_jobs.write_jobs(folder, WORKERS, self._jobs)

    def _count_cancelled(self, job: str) -> None:
        """Do with fewer workers where somebody has cancelled some."""
        for line in (asked("scontrol", "show", "job", job, "--oneliner") or "").splitlines():
            facts = _facts(line)
            if facts.get("JobState") == "CANCELLED":
                elements = {f"{job}_{one}" for one in _numbers(facts.get("ArrayTaskId", "0"))}
                self._n = max(0, self._n - len(elements - self._cancelled))
                self._cancelled |= elements


def _facts(shown: str) -> dict[str, str]:
    """Return what `scontrol show job --oneliner` says of a job, by name."""
    return dict(re.findall(r"(\w+)=(\S*)", shown))


def _numbers(text: str) -> list[int]:
    """Return the numbers of elements that SLURM writes as `0,2-4%2`."""
    found: list[int] = []
    for first, last in re.findall(r"([0-9]+)(?:-([0-9]+))?", text.partition("%")[0]):
        found += range(int(first), int(last or first) + 1)
    return found
