"""The end of a sweep: real processes that are killed while they write it, and sweeps without a result."""

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from runback.errors import DiskFull, StoreError, TrainingError
from runback.sweeping.ending import Ending, refuse_without_result, remove_left_checkpoints
from runback.sweeping.shared.claims import OwnStudy
from runback.sweeping.study.attributes import ENDED

APP = """
import importlib, os, signal

import hydra
from runback.sweeping import report


def kill_at(point):
    point, after, count = point.partition("!")
    place, name = point.rsplit(".", 1)
    module, _, owner = place.partition(":")
    owner = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
    function = getattr(owner, name)
    left = int(count or 1)

    def killed(*arguments, **more):
        nonlocal left
        left -= 1
        result = function(*arguments, **more) if after or left else None
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, killed)


@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    if cfg.x < cfg.bad_below:
        raise ValueError("too small")
    report(cfg.x, 1)
    return float("nan") if cfg.x < cfg.nan_below else cfg.x


if __name__ == "__main__":
    if point := os.environ.get("KILL_AT"):
        kill_at(point)
    app()
"""

CONFIG = """
defaults: [{override hydra/sweeper: runback}, _self_]
x: 1
seed: 0
bad_below: -9
nan_below: -9
hydra:
  sweep: {dir: mlruns/sweeps/swept}
  sweeper: {name: swept, experiment: e, objective: score, n_trials: 5, n_workers: 2}
"""

CONFIRM = "hydra.sweeper.confirm={top: 1, seeds: 2}"

FIRST = [
    "runback.sweeping.trials.coordinator:Coordinator._finish!5",
    "runback.sweeping.watching.live_table:LiveTable.print_summary",
    "runback.tracking.write.run_writer:RunWriter.finish",
    "runback.sweeping.confirm.stage.keep_reported!",
]
MORE = [
    "runback.sweeping.reporting.reporter:Reporter._finish",
    "runback.sweeping.reporting.reporter:Reporter._write",
    "runback.sweeping.reporting.reporter:Reporter._write!",
    "runback.sweeping.reporting.reporter:Reporter._log_drawing",
    "runback.sweeping.watching.sweep_run:SweepRun.close_ended",
    "runback.sweeping.watching.sweep_run:_Tracked.finish",
    "runback.tracking.write.run_writer:RunWriter.finish!",
    "runback.tracking.write.delivery.send_end",
    "runback.sweeping.confirm.stage:Stage.run",
    "runback.sweeping.confirm.stage._report",
    "runback.sweeping.confirm.stage._report!",
]
"""Functions, as MODULE.FUNCTION or MODULE:CLASS.METHOD, before which, or with ! after which, it is killed.

A number after it counts the calls.
"""


@pytest.fixture
def app(project):
    (project.folder / "app.py").write_text(APP)
    (project.folder / "app.yaml").write_text(CONFIG)
    (project.folder / "pyproject.toml").write_text("[tool.runback]\n")
    return project


def sweep(project, *overrides, **env):
    command = [sys.executable, "app.py", "--multirun", "x=interval(0,1)", *overrides]
    return subprocess.run(
        command,
        cwd=project.folder,
        env=project.environment(**env),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def the_sweeps_run(project):
    [run] = [run for run in project.runs() if run.data.tags["runback.kind"] == "sweep"]
    return run


@pytest.mark.parametrize("point", [*FIRST, *(pytest.param(point, marks=pytest.mark.slow) for point in MORE)])
def test_the_end_of_a_killed_sweep_is_written_by_the_next_one(point, app):
    killed = sweep(app, CONFIRM, KILL_AT=point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = app.study("swept")
    assert not before.user_attrs[ENDED]
    again = sweep(app, CONFIRM)
    assert again.returncode == 0, again.stderr
    study = app.study("swept")
    assert study.user_attrs[ENDED]
    assert [trial.values for trial in study.trials] == [trial.values for trial in before.trials]
    run = the_sweeps_run(app)
    assert run.info.status == "FINISHED"
    assert "runback.reason" not in run.data.tags
    note = run.data.tags["mlflow.note.content"]
    assert "**5 of 5 trials**" in note
    assert "## Confirmed on fresh seeds" in note
    assert run.data.metrics["best_score"] == study.best_value
    assert run.data.metrics["confirm.mean"] == study.best_value
    artifacts = {file.path for file in app.client().list_artifacts(run.info.run_id)}
    assert {"trials.csv", "best_config.yaml", "report.html"} <= artifacts
    third = sweep(app, CONFIRM)
    assert third.returncode == 0
    assert "sweep swept is finished: 5 of 5 trials" in third.stdout
    assert "had not been written" not in third.stdout
    assert the_sweeps_run(app).info.end_time == run.info.end_time


LAST_TOLD = "runback.sweeping.trials.coordinator:Coordinator._finish!"


def test_the_only_trials_value_is_a_metric_of_the_sweep_whose_coordinator_was_killed_then(app):
    one = "hydra.sweeper.n_trials=1"
    assert sweep(app, one, KILL_AT=LAST_TOLD).returncode == -signal.SIGKILL
    assert not the_sweeps_run(app).data.metrics
    again = sweep(app, one)
    assert again.returncode == 0, again.stderr
    assert "its end had not been written" in again.stdout
    run = the_sweeps_run(app)
    assert run.info.status == "FINISHED"
    [trial] = app.study("swept").trials
    assert run.data.metrics["best_score"] == trial.value


def test_a_trial_that_failed_as_its_coordinator_was_killed_has_a_run_all_the_same(app):
    overrides = ["bad_below=0.6", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_workers=1"]
    assert sweep(app, *overrides, KILL_AT=LAST_TOLD).returncode == -signal.SIGKILL
    [first] = app.study("swept").trials
    assert first.state.name == "FAIL"  # with this seed
    sweep(app, *overrides)
    failed = [trial.number for trial in app.study("swept").trials if trial.state.name == "FAIL"]
    runs = [run for run in app.runs() if run.data.tags["runback.kind"] == "train"]
    of_failed = {int(run.data.tags["runback.trial"]) for run in runs if run.info.status == "FAILED"}
    assert of_failed == set(failed)
    [run] = [run for run in runs if run.data.tags["runback.trial"] == "0"]
    assert run.data.tags["runback.reason"] == "ValueError: too small"


@pytest.mark.parametrize(("status", "is_over"), [("RUNNING", False), ("FINISHED", True)])
def test_a_study_without_a_note_of_its_end_has_ended_if_its_run_has(status, is_over, app):
    assert sweep(app).returncode == 0
    run, study = the_sweeps_run(app), app.study("swept")
    app.client().update_run(run.info.run_id, status)
    forget_end(app.folder / "mlruns/sweeps/swept/study.db")
    again = sweep(app)
    assert again.returncode == 0, again.stderr
    assert ("its end had not been written" in again.stdout) is not is_over
    assert the_sweeps_run(app).info.status == "FINISHED"
    assert [trial.values for trial in app.study("swept").trials] == [trial.values for trial in study.trials]


def forget_end(database):
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        done = connection.execute("DELETE FROM study_user_attributes WHERE key = ?", [ENDED])
        assert done.rowcount == 1


class Attributes(dict):
    """The user attributes of a study, whose database takes `allowed` more of them."""

    def __init__(self, allowed=9, trouble="database or disk is full"):
        super().__init__()
        self.allowed, self.trouble = allowed, trouble

    def set_user_attr(self, name, value):
        self.allowed -= 1
        if self.allowed < 0:
            raise StorageInternalError(self.trouble)
        self[name] = value


def test_a_full_disk_ends_no_sweep(tmp_path):
    study = Attributes()
    with pytest.raises(DiskFull), Ending(study, tmp_path, OwnStudy()).noting():
        raise DiskFull("the disk is full")
    assert study[ENDED] is False


@pytest.mark.parametrize("allowed", [0, 1])
@pytest.mark.parametrize(
    ("trouble", "kind"), [("database or disk is full", DiskFull), ("database is locked", StoreError)]
)
def test_a_note_of_the_end_that_cannot_be_written_is_one_line(tmp_path, allowed, trouble, kind):
    study = Attributes(allowed, trouble)
    with pytest.raises(kind, match=r"study\.db"), Ending(study, tmp_path, OwnStudy()).noting():
        assert allowed
    assert study.get(ENDED, False) is False


@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize("error", [None, TrainingError("no trial has completed")])
def test_what_could_not_be_written_is_still_to_be(tmp_path, is_written, error):
    study = Attributes()
    with contextlib.suppress(TrainingError), Ending(study, tmp_path, OwnStudy(), lambda: is_written).noting():
        if error is not None:
            raise error
    assert study[ENDED] is is_written


WITHOUT_RESULT = {
    "diverged": (["nan_below=2"], "5 failed (5 diverged)"),
    "failed": (["bad_below=2"], None),
    "pruned": (["hydra/sweeper/pruner=threshold", "hydra.sweeper.pruner.lower=2"], "5 pruned"),
}


@pytest.mark.parametrize("name", WITHOUT_RESULT)
def test_a_sweep_without_a_result_has_failed(name, app):
    overrides, counts = WITHOUT_RESULT[name]
    done = sweep(app, CONFIRM, *overrides)
    assert done.returncode == 1
    if counts is not None:
        assert f"no trial has completed: {counts}; their logs are under" in done.stderr
        assert sweep(app, CONFIRM, *overrides).returncode == 1
    run = the_sweeps_run(app)
    assert run.info.status == "FAILED"


def test_paused_trials_are_no_failure(tmp_path):
    study = optuna.create_study()
    waiting = optuna.create_trial(state=TrialState.WAITING, user_attrs={"paused_at": 1}, values=None)
    pruned = optuna.create_trial(state=TrialState.PRUNED)
    study.add_trial(pruned)
    with pytest.raises(TrainingError, match="no trial has completed: 1 pruned"):
        refuse_without_result(study, tmp_path)
    study.add_trial(waiting)
    refuse_without_result(study, tmp_path)


def test_one_value_among_failures_is_a_result(app):
    done = sweep(app, "nan_below=0.5", "hydra.sweeper.n_trials=6")
    assert done.returncode == 0
    assert json.dumps([trial.state.name for trial in app.study("swept").trials]).count("COMPLETE") > 0
    assert the_sweeps_run(app).info.status == "FINISHED"


def test_checkpoints_that_a_kill_left_of_trials_pruned_in_a_pause_are_removed(tmp_path):
    study = optuna.create_study()
    for number, (state, attributes) in enumerate(
        [
            ("PRUNED", {"paused_at": 3}),
            ("PRUNED", {}),
            ("WAITING", {"paused_at": 1}),
            ("PRUNED", {"paused_at": 1, "ended_by": "diverged", "failure": "diverged: the loss is nan"}),
        ]
    ):
        study.add_trial(optuna.trial.create_trial(state=TrialState[state], user_attrs=attributes))
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "checkpoint-00003-0000000.npz").touch()
    remove_left_checkpoints(study, tmp_path)
    assert [path.parent.name for path in sorted(tmp_path.glob("*/checkpoint-*"))] == ["1", "2", "3"]
