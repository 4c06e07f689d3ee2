"""A sweep that goes on by itself: looked at, changed and stopped from another process."""

import json
import os
import signal
import time

import psutil
import pytest
from optuna.trial import TrialState

pytestmark = pytest.mark.timeout(300)

TASK = """
import time

import runback


@runback.task(objective="value", direction="maximize")
def train(run, *, x: float = 0.0, epochs: int = 10, seconds: float = 0.05):
    for epoch in run.epochs(epochs):
        time.sleep(seconds)
        run.log(value=x)
    return x


if __name__ == "__main__":
    train.main()
"""

SPACE = "x=interval(0,1)"


@pytest.fixture
def folder(project):
    (project.folder / "train.py").write_text(TASK)
    yield project.folder
    for process in psutil.process_iter(["cmdline", "cwd"]):  # what a failed test has left
        if process.info["cwd"] == str(project.folder):
            process.kill()


def begin(project, *words, name="s"):
    done = project.run("sweep", "train.py", SPACE, f"hydra.sweeper.name={name}", "--detach", *words)
    assert done.returncode == 0, done.stderr
    return done


def until(happened, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = happened()
        if found:
            return found
        time.sleep(0.2)
    raise TimeoutError


def trials(project, *states):
    study = project.study("s")
    return [] if study is None else study.get_trials(deepcopy=False, states=states or None)


def is_running(project):
    return trials(project, TrialState.RUNNING)


def test_it_goes_on_when_its_command_has_returned_and_is_shown_from_elsewhere(project, folder):
    begun = begin(project, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_workers=2", "seconds=0.1")
    assert "in the background" in begun.stdout
    words = ("hydra.sweeper.name=s", "hydra.sweeper.n_trials=3", "--detach")
    twice = project.run("sweep", "train.py", SPACE, *words)
    assert twice.returncode == 2
    assert "s is running already" in twice.stderr or "s is already running" in twice.stderr
    shown = project.run("attach", "s")
    assert shown.returncode == 0, shown.stderr
    assert "sweep s has ended" in shown.stdout
    assert "3 done" in shown.stdout
    assert len(trials(project, TrialState.COMPLETE)) == 3
    again = project.run("attach", "s")  # of one that has ended, its end
    assert again.returncode == 0
    assert "3 done" in again.stdout
    finished = begin(project, "hydra.sweeper.n_trials=3", "hydra.sweeper.n_workers=2", "seconds=0.1")
    assert "is finished: 3 of 3" in finished.stdout


def test_what_is_wrong_with_it_is_said_before_it_is_let_go(project, folder):
    done = project.run("sweep", "train.py", "y=interval(0,1)", "--detach")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "mlruns" / "sweeps").exists() or not list((folder / "mlruns" / "sweeps").iterdir())


def test_it_is_changed_while_it_runs_and_its_study_says_so(project, folder):
    begin(project, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_workers=1", "epochs=60")
    until(lambda: is_running(project))
    [changed, added, other, many, wrong, ended] = project.run_many(
        ["sweep", "s", "--set", "n_trials=4", "n_workers=3"],
        ["sweep", "s", "--enqueue", "x=0.25"],
        ["sweep", "s", "--enqueue", "x=7"],
        ["sweep", "s", "--enqueue", "x=0.5", "--enqueue", "x=0.6", "--enqueue", "x=0.7"],
        ["sweep", "s", "--set", "n_worker=1"],
        ["stop", "s/0"],
    )
    assert changed[0] == added[0] == ended[0] == 0, (changed, added, ended)
    assert other[0] == many[0] == wrong[0] == 2
    assert "n_trials=4 have no room for another one" in many[2]
    assert "x=7.0 is not in the search space" in other[2]
    assert "did you mean 'n_workers'" in wrong[2]
    until(lambda: len(is_running(project)) >= 2)
    until(lambda: trials(project, TrialState.FAIL))
    assert project.run("attach", "s").returncode == 0
    found = trials(project)
    assert [one.state.name for one in found].count("COMPLETE") == 4
    assert found[0].state == TrialState.FAIL
    assert found[0].user_attrs["failure"] == "stopped: ended on request"
    assert [one.params["x"] for one in found].count(0.25) == 1
    events = project.study("s").user_attrs["runback:events"]
    assert [next(key for key in event if key != "at") for event in events] == ["set", "enqueue", "end_trial"]
    statuses = {run.info.run_id: run.info.status for run in runs(project)}
    assert statuses.pop(found[0].user_attrs["run_id"]) == "KILLED"
    tags = project.client().get_run(found[0].user_attrs["run_id"]).data.tags
    assert (tags["runback.failure"], tags["runback.reason"]) == ("stopped", "ended on request")
    assert set(statuses.values()) == {"FINISHED"}
    # The same command does not shrink it again.
    again = project.run(
        "sweep", "train.py", SPACE, "hydra.sweeper.name=s", "hydra.sweeper.n_trials=2", "epochs=60"
    )
    assert "is finished: 4 of 4" in again.stdout


def runs(project):
    client = project.client()
    return client.search_runs([one.experiment_id for one in client.search_experiments()])


def test_it_is_stopped_from_elsewhere_and_the_same_command_goes_on(project, folder):
    begin(project, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_workers=2", "epochs=40")
    until(lambda: trials(project, TrialState.COMPLETE))
    stopped = project.run("stop", "s")
    assert stopped.returncode == 0, stopped.stderr
    shown = project.run("attach", "s")
    assert shown.returncode == 1
    assert "been stopped" in shown.stdout
    assert not is_running(project)
    assert all(run.info.status != "RUNNING" for run in runs(project))
    refused = project.run("stop", "s")
    assert refused.returncode == 2
    assert "s is not running" in refused.stderr
    begin(project, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_workers=2", "epochs=40")
    assert project.run("attach", "s").returncode == 0
    assert len(trials(project, TrialState.COMPLETE)) == 4
    assert len(trials(project)) == 4


def test_one_that_is_killed_is_said_to_be_gone(project, folder):
    begin(project, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_workers=1", "epochs=100")
    until(lambda: is_running(project))
    os.kill(int((folder / "mlruns/sweeps/s/.lock").read_text()), signal.SIGKILL)
    [shown, stopped, asked] = project.run_many(
        ["attach", "s"], ["stop", "s"], ["sweep", "s", "--set", "n_trials=1"]
    )
    assert shown[0] == 1
    assert "sweep s is gone" in shown[2]
    assert stopped[0] == asked[0] == 2
    assert "s is not running" in stopped[2]


def test_what_others_put_into_its_folder_is_refused(project, folder):
    begin(project, "hydra.sweeper.n_trials=1", "hydra.sweeper.n_workers=1", "epochs=60")
    requests = folder / "mlruns/sweeps/s/requests"
    until(lambda: is_running(project))
    (requests / "1.request.json").write_text('{"change": {"n_workers": 1e9}}')
    (requests / "2.request.json").write_text("[" * 10_000)
    (requests / "3.request.json").symlink_to("/etc/passwd")
    (requests / "4.request.json").write_text('{"change": {"engine": "x"}}')
    until(lambda: len(list(requests.glob("?.answer.json"))) == 4)
    answers = {json.loads(file.read_text())["error"] for file in requests.glob("?.answer.json")}
    assert answers == {"expected a request"}
    assert project.run("attach", "s").returncode == 0


def test_an_unknown_sweep_is_named(project, folder):
    for result in project.run_many(["attach", "t"], ["stop", "t"], ["stop", "t/1"]):
        assert result[0] == 2
        assert "unknown sweep 't'" in result[2]
