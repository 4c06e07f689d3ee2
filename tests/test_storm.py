"""Sweeps under a storm of SIGKILLs, to trials and to their coordinator, that lose nothing."""

import contextlib
import os
import random
import sqlite3
import subprocess
import threading
import time

import psutil
import pytest
from optuna.trial import TrialState

from runback.sweeping.study import read_study

TRIALS = 40

STORM_SWEEP = f"""# @package _global_
# Many short trials.
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: random
  - override /hydra/sweeper/pruner: asha
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
    retries:
      lost: 100
    params:
      training.epochs: int(interval(2, 6))
      optimizer.learning_rate: tag(log, interval(0.0001, 0.1))
"""

EVERY = 2.0
"""Seconds from one killed trial to the next."""

COORDINATORS = 5
"""Coordinators that are killed; the one after them ends the sweep."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("storm", range(5))
def test_a_sweep_under_a_storm_ends_with_every_result(project, storm):
    (project.folder / "sweeps").unlink()
    (project.folder / "sweeps").mkdir()
    (project.folder / "sweeps" / "storm.yaml").write_text(STORM_SWEEP)
    chance, known, groups = random.Random(storm), {}, []  # noqa: S311 - which process is killed is no secret
    for _ in range(COORDINATORS):
        process = project.start("sweep", "storm")
        groups.append(process.pid)
        with killing_trials(project, process.pid, chance):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(8, 20))
            process.kill()
            process.communicate()
        for number, value in results(project).items():
            assert known.setdefault(number, value) == value
    process = project.start("sweep", "storm")
    groups.append(process.pid)
    with killing_trials(project, process.pid, chance):
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    ended = results(project)
    assert len(ended) == TRIALS
    assert known.items() <= ended.items()
    check_stores(project, ended)
    assert all(gone(group) for group in groups), out


@contextlib.contextmanager
def killing_trials(project, group, chance):
    """Kill one of the group's trial processes every two seconds meanwhile."""
    calm = threading.Event()

    def kill():
        while not calm.wait(EVERY):
            if not (project.folder / "mlruns" / "sweeps" / "storm" / "study.db").exists():
                continue  # what is checked before the first trial has a test of its own
            trials = list(trial_processes(group))
            if trials:
                with contextlib.suppress(psutil.Error):
                    chance.choice(trials).kill()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        calm.set()
        thread.join()


def trial_processes(group):
    """The processes of the group that the forkserver has forked."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            parent = process.parent()
            if os.getpgid(process.pid) == group and parent and "forkserver" in " ".join(parent.cmdline()):
                yield process


def gone(group):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.2)
    return False


def study_of(project):
    folder = project.folder / "mlruns" / "sweeps" / "storm"
    return read_study(folder, "storm") if (folder / "study.db").exists() else None


def results(project):
    """What is finished, by number: the value, None where it was pruned."""
    study = study_of(project)
    if study is None:
        return {}
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
    return {
        trial.number: trial.value if trial.state == TrialState.COMPLETE else None
        for trial in study.get_trials(states=finished)
    }


def check_stores(project, ended):
    runs = {run.info.run_id: run for run in project.runs()}
    assert "RUNNING" not in {run.info.status for run in runs.values()}
    states = {trial.state for trial in study_of(project).trials}
    assert states <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    for trial in study_of(project).trials:
        if trial.state == TrialState.COMPLETE:
            run = runs[trial.user_attrs["run_id"]]
            assert run.info.status == "FINISHED"
            assert run.data.metrics["val_accuracy"] == trial.value
    for database in ("mlflow.db", "sweeps/storm/study.db"):
        with sqlite3.connect(project.folder / "mlruns" / database) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
