"""Sweeps on a real SLURM of two nodes, whose daemons, jobs and processes are killed."""

import contextlib
import os
import subprocess
import time

import psutil
import pytest
from optuna.trial import TrialState

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

TASK = """
import time

import numpy as np

import runback


@runback.task(objective="value", direction="maximize")
def train(run, *, x: float = 0.0, epochs: int = 20, seconds: float = 0.2):
    for epoch in run.epochs(epochs):
        time.sleep(seconds)
        run.checkpoint({"epoch": np.int64(epoch)})
        run.log(value=x)
    return x


if __name__ == "__main__":
    train.main()
"""

SPACE = "x=interval(0,1)"
N = 12


def squeue():
    done = subprocess.run(["squeue", "-h", "-o", "%i %T %N"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def until(happened, seconds=150):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = happened()
        if found:
            return found
        time.sleep(0.3)
    raise TimeoutError(squeue())


def completed(project):
    study = project.study("s")
    return [] if study is None else study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


@pytest.fixture
def words(project, slurm):
    (project.folder / "train.py").write_text(TASK)
    yield [
        *("train.py", SPACE, "hydra.sweeper.name=s", f"hydra.sweeper.n_trials={N}"),
        *("hydra.sweeper.n_workers=2", "hydra/sweeper/engine=slurm"),
    ]
    subprocess.run(["scancel", "-u", "root"], check=False)


def coordinator(project):
    """Return the process that runs the sweep."""
    text = (project.folder / "mlruns/sweeps/s/.lock").read_text().strip()
    return psutil.Process(int(text)) if text else None


def slurmd(node):
    """Return a node's daemon."""
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "slurmd" and node in (process.info["cmdline"] or []):
            return process
    raise LookupError(node)


def steps(node):
    """Return the processes that a node's daemon has started, with what these have started."""
    found = []
    for process in psutil.process_iter(["name"]):
        with contextlib.suppress(psutil.Error):
            if process.info["name"] == "slurmstepd":
                children = process.children(recursive=True)
                if any(one.environ().get("SLURMD_NODENAME") == node for one in children):
                    found += [process, *children]
    return found


_daemons = []


def start_slurmd(slurm, node):
    command = ["/usr/sbin/slurmd", "-D", "-N", node, "-f", str(slurm / "slurm.conf")]
    with (slurm / "log" / f"{node}.out").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    _daemons.append(process)
    with (slurm / "pids").open("a") as pids:
        pids.write(f"{process.pid}\n")


def test_exactly_all_trials_are_done_whatever_is_killed(project, slurm, words):
    detached = project.run("sweep", *words, "--detach", SLURM_CONF=os.environ["SLURM_CONF"])
    assert detached.returncode == 0, detached.stderr
    until(lambda: len(completed(project)) >= 2)
    workers = [line.split() for line in squeue() if "RUNNING" in line]
    # A worker is requeued in the middle of a trial.
    array = next(job for job, *_ in workers if "_" in job)
    subprocess.run(["scontrol", "requeue", array], check=True)
    until(lambda: len(completed(project)) >= 4)
    # The coordinator is killed: its job is put back into the queue.
    coordinator(project).kill()
    until(lambda: len(completed(project)) >= 6)
    # A node's daemon is killed, with what it had started, and comes again.
    node = next(line.split()[2] for line in squeue() if "_" in line.split()[0] and "RUNNING" in line)
    for process in [slurmd(node), *steps(node)]:
        process.kill()
    time.sleep(5)
    start_slurmd(slurm, node)
    shown = project.run("attach", "s", SLURM_CONF=os.environ["SLURM_CONF"])
    assert shown.returncode == 0
    study = project.study("s")
    trials = study.get_trials(deepcopy=False)
    assert [one.state for one in trials] == [TrialState.COMPLETE] * N
    until(lambda: not squeue(), 60)
    client = project.client()
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    statuses = [run.info.status for run in runs]  # of a trial that was killed, the run is closed
    assert statuses.count("FINISHED") == N + 1
    assert set(statuses) <= {"FINISHED", "FAILED", "KILLED"}
    lines = [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if str(project.folder) in line]
