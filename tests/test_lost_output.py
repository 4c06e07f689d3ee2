"""Trainings and sweeps whose output nobody can read: it is gone, full, or has few letters."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

TRAIN = (
    *("train", "data=synthetic", "model.widths=[4,4]", "model.dense_width=8"),
    "training.epochs=3",
)

APP = """
import hydra

@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    print("x is · é", cfg.x)
    return cfg.x * cfg.x

app()
"""

APP_CONFIG = """
defaults: [{override hydra/sweeper: runback}, _self_]
x: 1
seed: 0
hydra: {sweeper: {n_trials: 4, n_workers: 2, direction: minimize, confirm: {top: 1, seeds: 2}}}
"""


def through_shell(project, shell, *command, **env):
    """Run a command with redirections; the exit code is its own."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {shell}; exit ${{PIPESTATUS[0]}}', "-", sys.executable, *command],
        cwd=project.folder,
        env=project.environment(**env),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


LOST = {
    "| head -1": "stdout takes no more (Broken pipe)",
    "> /dev/full": "stdout takes no more (No space left on device)",
    ">&-": "stdout takes no more (it is closed)",
}


@pytest.mark.parametrize("shell", LOST)
def test_a_training_outlasts_its_output_and_says_so_once(shell, project):
    done = through_shell(project, shell, "-m", "runback", *TRAIN)
    assert done.returncode == 0
    assert done.stderr == f"runback: {LOST[shell]}; the work goes on without it\n"
    [run] = project.runs()
    assert run.info.status == "FINISHED"
    assert LOST[shell].split(" (")[1].rstrip(")") in run.data.tags["mlflow.note.content"]
    history = project.client().get_metric_history(run.info.run_id, "val_accuracy")
    assert [point.step for point in history] == [1, 2, 3]


@pytest.mark.parametrize("shell", ["2>&1 | head -1", ">&- 2>&- <&-", "> /dev/full 2>&1"])
def test_a_training_outlasts_both_streams_and_its_note_says_so(shell, project):
    assert through_shell(project, shell, "-m", "runback", *TRAIN).returncode == 0
    [run] = project.runs()
    assert run.info.status == "FINISHED"
    assert "stdout took no more" in run.data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("shell", "told"),
    {
        "": "stdout takes ascii only",
        "| head -1": LOST["| head -1"],
        "> /dev/full": LOST["> /dev/full"],
    }.items(),
)
def test_any_sweep_is_confirmed_whatever_its_output(shell, told, project):
    (project.folder / "app.py").write_text(APP)
    (project.folder / "app.yaml").write_text(APP_CONFIG)
    command = ("app.py", "--multirun", "x=interval(-1,1)", "hydra.sweep.dir=swept")
    done = through_shell(project, shell, *command, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == (2 if "full" in shell else 1)
    assert told in done.stderr
    trained = [log.read_text() for log in (project.folder / "swept").rglob("output.log")]
    assert len(trained) == 6  # four trials, and the best of them on two seeds
    assert all(text.startswith("x is · é") for text in trained)
    if not shell:
        assert "done \\xb7 0 pruned" in done.stdout
        assert "Trial " in done.stdout.splitlines()[-1]


def test_a_training_goes_on_when_its_terminal_is_gone(project):
    """As under nohup, or in a session that was left: no signal tells of it."""
    ours, theirs = pty.openpty()
    command = ["bash", "-c", 'trap "" HUP; exec "$@"', "-", sys.executable, "-m", "runback", *TRAIN]
    process = subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    assert os.read(ours, 1)  # it has begun to print
    os.close(ours)
    assert process.wait(timeout=1200) == 0
    [run] = project.runs()
    assert run.info.status == "FINISHED"
    assert "took no more" in run.data.tags["mlflow.note.content"]


def test_a_closed_terminal_stops_a_training_well(project):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runback", *TRAIN, "training.epochs=2000"],
        cwd=project.folder,
        env=project.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    deadline = time.monotonic() + 600
    text = b""
    while b"epoch 2/" not in text and time.monotonic() < deadline:
        text += os.read(ours, 10_000)
    os.close(ours)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=1200) == 128 + signal.SIGHUP
    [run] = project.runs()
    assert (run.info.status, run.data.tags["runback.reason"]) == ("KILLED", "interrupted: stopped by SIGHUP")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["train", "--cfg", "job"], ["doctor", "--json"], ["clean"]]
)
def test_a_command_that_only_prints_ends_quietly_with_its_reader(arguments, project):
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-m", "runback", *arguments],
        cwd=project.folder,
        env=project.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--json"]])
def test_a_command_whose_answer_cannot_be_written_has_failed(arguments, project):
    done = through_shell(project, "> /dev/full", "-m", "runback", *arguments)
    assert done.returncode == 1
    assert done.stderr == "runback: stdout takes no more (No space left on device)\n"
