"""A sweep's coordinator as a small SLURM job: nothing has to stay on the machine that submits it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from runback.sweeping.trials.remote import slurm_jobs
from runback.sweeping.trials.remote.slurm_jobs import COORDINATOR, LEAVE, SlurmSettings

KILLS = 5
"""Kills in a row, each less than a minute after the start, after which nothing is started again."""

SHORT = 60.0


class SlurmCoordinator:
    """What the job runs; submitit pickles it."""

    def __init__(self, words: Sequence[str], here: str, output: str) -> None:
        self.words, self.here, self.output = list(words), here, output
        self._leaves = False

    def __call__(self) -> None:
        """Be the coordinator of the sweep; where that is killed, start it again.

        Near the job's time limit it is killed, which a sweep survives, and the job is requeued; its workers
        wait a while. Told to end by another signal, it stops the sweep.
        """
        kills = 0
        while kills < KILLS:
            began = time.monotonic()
            code = self._run()
            if self._leaves:
                slurm_jobs.requeue(os.environ["SLURM_JOB_ID"])
                time.sleep(slurm_jobs.ASKING)  # it is ended meanwhile
            if code != -signal.SIGKILL or self._leaves:
                break
            kills = kills + 1 if time.monotonic() - began < SHORT else 1
        (Path(self.output).parent / COORDINATOR).unlink(missing_ok=True)  # there is no such job any more
        sys.exit(128 - code if code < 0 else code)

    def _run(self) -> int:
        """Run the sweep's command; return its exit code, negative where a signal has ended it."""
        with Path(self.output).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - our own
                self.words,
                cwd=self.here,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def leave(_signum: int, _frame: object) -> None:
            self._leaves = True
            process.kill()

        signal.signal(LEAVE, leave)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


def submit_coordinator(settings: SlurmSettings, folder: Path, words: Sequence[str], output: Path) -> str:
    """Submit the job, with one CPU; return its number. Errors: InputError."""
    call = SlurmCoordinator(words, str(Path.cwd()), str(output))
    job = slurm_jobs.submit(settings, folder, [call], cpus_per_task=1)
    slurm_jobs.write_jobs(folder, COORDINATOR, [job])
    return job
