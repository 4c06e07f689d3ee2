"""Signals as `timeout`, schedulers and impatient people send them: to a sweep, or to its fork server."""

import contextlib
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from optuna.trial import TrialState

TRIALS = 8

SWEEP = f"""# @package _global_
# A few short trials.
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: random
model:
  widths: [4, 4]
  dense_width: 8
training:
  checkpoint:
    every: 1
hydra:
  sweeper:
    n_trials: {TRIALS}
    n_workers: 2
    params:
      training.epochs: int(interval(3, 8))
      optimizer.learning_rate: tag(log, interval(0.0001, 0.1))
"""

SOONEST, LATEST = 2.0, 20.0
"""Seconds after the start between which a signal is sent: from the imports to about the end."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_a_sweep_that_timeout_ends_leaves_nothing_and_goes_on(project, seed):
    project.own_sweeps(short=SWEEP)
    seconds = _chance(seed).uniform(SOONEST, LATEST)
    process = subprocess.Popen(
        ["timeout", "-s", "TERM", f"{seconds:.2f}", sys.executable, "-m", "runback", "sweep", "short"],
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.communicate(timeout=seconds + 60)
    assert process.returncode in (0, 124)
    check_stopped(project, process.pid)
    check_continued(project)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_a_sweep_whose_process_group_is_killed_leaves_nothing_and_goes_on(project, seed):
    project.own_sweeps(short=SWEEP)
    chance = _chance(100 + seed)
    process = project.start("sweep", "short")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(chance.uniform(SOONEST, LATEST))
    for signum in [signal.SIGTERM] if seed % 2 else [signal.SIGTERM, signal.SIGKILL]:
        with contextlib.suppress(ProcessLookupError):
            project.interrupt(process, signum)
        time.sleep(chance.uniform(0, 3))
    process.communicate(timeout=300)
    check_stopped(project, process.pid, is_killed=process.returncode == -signal.SIGKILL)
    check_continued(project)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(10))
def test_a_sweep_whose_fork_server_is_stopped_leaves_nothing_and_goes_on(project, seed):
    project.own_sweeps(short=SWEEP)
    chance = _chance(200 + seed)
    process = project.start("sweep", "short")
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(chance.uniform(SOONEST, LATEST))
    stop_server(process.pid)
    if seed % 2:  # the others go on to their end
        time.sleep(chance.uniform(0, 6))
        with contextlib.suppress(ProcessLookupError):
            project.interrupt(process, signal.SIGTERM)
    _, err = process.communicate(timeout=1200)
    assert process.returncode in ((0, 143) if seed % 2 else (0,)), err
    check_stopped(project, process.pid)
    check_continued(project)


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - when a process is stopped is no secret


def stop_server(coordinator: int) -> list[psutil.Process]:
    """Stop the servers that a coordinator has forking its trials; there may be none yet."""
    stopped = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(coordinator).children():
            if "forkserver" in " ".join(child.cmdline()):
                child.suspend()
                stopped.append(child)
    return stopped


def check_stopped(project, group, *, is_killed=False):
    """Nothing lives on 20 seconds later, and no run seems to go on. Only who is killed cannot say so."""
    assert project.are_gone(group)
    statuses = {run.info.status for run in project.runs()}
    assert is_killed or "RUNNING" not in statuses


def check_continued(project):
    """The same command does exactly what is left, and leaves the truth about all of it."""
    done = project.run("sweep", "short")
    assert done.returncode == 0, done.stderr
    trials = project.study("short").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * TRIALS
    runs = {run.info.run_id: run for run in project.runs()}
    assert "RUNNING" not in {run.info.status for run in runs.values()}
    [parent] = [run for run in runs.values() if run.data.tags.get("runback.kind") == "sweep"]
    assert parent.info.status == "FINISHED"
    assert {runs[trial.user_attrs["run_id"]].info.status for trial in trials} == {"FINISHED"}
