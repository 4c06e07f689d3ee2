"""The end of a sweep: real processes that are killed while they write it, and sweeps without a result."""

import json
import signal
import subprocess
import sys

import pytest

from runback.sweeping.study.attributes import ENDED

APP = """
import importlib, os, signal

import hydra
from runback.sweeping import report


def kill_at(point):
    place, name = point.removesuffix("!").rsplit(".", 1)
    module, _, owner = place.partition(":")
    owner = getattr(importlib.import_module(module), owner) if owner else importlib.import_module(module)
    function = getattr(owner, name)

    def killed(*arguments, **more):
        if point.endswith("!"):
            function(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)

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
    "runback.sweeping.watching.live_table:LiveTable.print_summary",
    "runback.tracking.write.run:Run.finish",
    "runback.sweeping.confirm.stage.keep_reported!",
]
MORE = [
    "runback.sweeping.reporting.reporter:Reporter._finish",
    "runback.sweeping.reporting.reporter:Reporter._write",
    "runback.sweeping.reporting.reporter:Reporter._write!",
    "runback.sweeping.reporting.reporter:Reporter._log_drawing",
    "runback.sweeping.watching.sweep_run:SweepRun.close_ended",
    "runback.sweeping.watching.sweep_run:_Tracked.finish",
    "runback.tracking.write.run:Run.finish!",
    "runback.tracking.write.delivery.send_end",
    "runback.sweeping.confirm.stage:Stage.run",
    "runback.sweeping.confirm.stage._report",
    "runback.sweeping.confirm.stage._report!",
]
"""Functions, as MODULE.FUNCTION or MODULE:CLASS.METHOD, before which, or with ! after which, it is killed."""


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
        timeout=240,
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


def test_one_value_among_failures_is_a_result(app):
    done = sweep(app, "nan_below=0.5", "hydra.sweeper.n_trials=6")
    assert done.returncode == 0
    assert json.dumps([trial.state.name for trial in app.study("swept").trials]).count("COMPLETE") > 0
    assert the_sweeps_run(app).info.status == "FINISHED"
