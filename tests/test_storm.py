"""Sweeps under a storm of SIGKILLs, to trials, what forks them and their coordinator, that lose nothing."""

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time

import psutil
import pytest
from optuna.trial import TrialState

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

DETERMINISTIC = "hydra.sweeper.deterministic=true"

EVERY = 2.0
"""Seconds from one killed trial, or server of them, to the next."""

SLOW = 5
"""Times that, where no trial has ended since: on a busy machine every trial would be killed as it starts."""

SERVERS = 0.25
"""Share of the kills that are the server's."""

COORDINATORS = 5
"""Coordinators that are killed while trials run; the next one is between its last trial's end and its own."""

STORMS = 10


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("storm", range(STORMS))
def test_a_sweep_under_a_storm_ends_with_every_result(project, storm):
    groups = sweep_in_a_storm(project, storm)
    ended = results(project)
    assert len(ended) == TRIALS
    check_stores(project, ended)
    assert all(project.are_gone(group) for group in groups)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_deterministic_sweep_is_the_same_in_a_storm_and_under_load(tmp_path, make_project):
    calm, loaded, stormy = (make_project(tmp_path / name) for name in ("calm", "loaded", "stormy"))
    sweep_calmly(calm)
    with heavy_load():
        sweep_calmly(loaded)
    sweep_in_a_storm(stormy, 0, DETERMINISTIC)
    trials = trials_of(calm)
    assert len(trials) == TRIALS
    assert len({state for state, _, _ in trials}) == 2  # some are pruned
    assert trials_of(loaded) == trials
    assert trials_of(stormy) == trials
    check_stores(stormy, results(stormy))


def sweep_calmly(project):
    project.own_sweeps(storm=STORM_SWEEP)
    done = project.run("sweep", "storm", DETERMINISTIC)
    assert done.returncode == 0, done.stderr


def trials_of(project):
    """What became of each trial, in order."""
    return [(trial.state, trial.params, trial.values) for trial in project.study("storm").trials]


@contextlib.contextmanager
def heavy_load():
    """Keep every core busy, twice."""
    spin = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(spin) for _ in range(2 * os.cpu_count())]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def sweep_in_a_storm(project, storm, *overrides):
    """Run the sweep to its end through a storm; return the process groups of its coordinators."""
    project.own_sweeps(storm=STORM_SWEEP)
    chance, known, groups = random.Random(storm), {}, []  # noqa: S311 - which process is killed is no secret
    for _ in range(COORDINATORS):
        process = project.start("sweep", "storm", *overrides)
        groups.append(process.pid)
        with killing_trials(project, process.pid, chance):
            wait_for_results(project, process, len(known) + 1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0, 8))
            process.kill()
            process.communicate()
        for number, value in results(project).items():
            assert known.setdefault(number, value) == value
    process = project.start("sweep", "storm", *overrides)
    groups.append(process.pid)
    with killing_trials(project, process.pid, chance):
        wait_for_results(project, process, TRIALS)
        process.kill()
        process.communicate()
    assert len(results(project)) == TRIALS
    process = project.start("sweep", "storm", *overrides)
    groups.append(process.pid)
    _, err = process.communicate(timeout=1200)
    assert process.returncode == 0, err
    assert known.items() <= results(project).items()
    return groups


def wait_for_results(project, process, count):
    """Wait until the study of a coordinator that runs has results of so many trials."""
    deadline = time.monotonic() + 600
    while len(results(project)) < min(count, TRIALS):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextlib.contextmanager
def killing_trials(project, group, chance):
    """Kill one of the group's trial processes, or the server that forks them, every two seconds meanwhile."""
    calm = threading.Event()

    def kill():
        looks = before = 0
        while not calm.wait(EVERY):
            looks, ended = looks + 1, len(results(project))
            if ended == before and looks < SLOW:
                continue
            looks, before = 0, ended
            if project.study("storm") is None:
                continue  # what is checked before the first trial has a test of its own
            server = project.fork_server(group)
            trials = project.trial_processes(group)
            victims = [server] if trials and server and chance.random() < SERVERS else trials
            if victims:
                with contextlib.suppress(psutil.Error):
                    chance.choice(victims).kill()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        calm.set()
        thread.join()


def results(project):
    """What is finished, by number: the value, None where it was pruned."""
    study = project.study("storm")
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
    check_end(project, [run for run in runs.values() if run.data.tags["runback.kind"] == "sweep"])
    states = {trial.state for trial in project.study("storm").trials}
    assert states <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    for trial in project.study("storm").trials:
        if trial.state == TrialState.COMPLETE:
            run = runs[trial.user_attrs["run_id"]]
            assert run.info.status == "FINISHED"
            assert run.data.metrics["best_val_accuracy"] == trial.value
        if trial.state == TrialState.PRUNED:
            assert runs[trial.user_attrs["run_id"]].info.status == "KILLED"
    for database in ("mlflow.db", "sweeps/storm/study.db"):
        with sqlite3.connect(project.folder / "mlruns" / database) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def check_end(project, sweeps):
    """The sweep's own run is one, is finished, and has its note, its report and the best value."""
    [run] = sweeps
    assert run.info.status == "FINISHED"
    assert f"**{TRIALS} of {TRIALS} trials**" in run.data.tags["mlflow.note.content"]
    assert run.data.metrics["best_val_accuracy"] == project.study("storm").best_value
    artifacts = {file.path for file in project.client().list_artifacts(run.info.run_id)}
    assert {"trials.csv", "best_config.yaml", "report.html"} <= artifacts
