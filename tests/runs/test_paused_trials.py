"""Trials of people's own trainings that pause and go on: one run each, true statuses, the same bits."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # many processes, one after the other

LOOP = """
import time
import numpy as np
import runback


@runback.task
def fit(run: runback.Run, *, learning_rate: float = 0.1, epochs: int = 9, wait: float = 0.0) -> float:
    rng = np.random.default_rng(run.seed)
    x = rng.normal(size=(64, 3))
    x, y = run.data((x, x @ np.array([1.0, -2.0, 0.5])))
    w = np.zeros(3)
    if run.state:
        w, rng = run.state["w"], run.state["rng"]
    for epoch in run.epochs(epochs):
        noise = 0.01 * (rng.normal(size=3) + np.random.normal(size=3))
        w = w - learning_rate * (x.T @ (x @ w - y) / len(y) + noise)
        time.sleep(wait)
        run.log(loss=np.mean((x @ w - y) ** 2))
        run.checkpoint({"w": w, "rng": rng})
    run.result(weights=w, predictions=x @ w)
    return run.best("loss")


if __name__ == "__main__":
    fit.main()
"""

KERAS = """
import keras
import numpy as np
import runback


@runback.task
def train(run: runback.Run, *, learning_rate: float = 0.01, epochs: int = 4) -> float:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype("float32")
    x, y = run.data((x, x.sum(axis=1)))
    run.seed
    layers = keras.layers
    model = keras.Sequential([layers.Dense(8, "relu"), layers.Dropout(0.2), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    model.fit(x, y, epochs=epochs, validation_split=0.25, verbose=0, callbacks=[runback.keras.Callback(run)])
    return run.best("val_loss")


if __name__ == "__main__":
    train.main()
"""

HYDRA = """
import hydra
from runback.sweeping import report


@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    for step in range(1, 10):
        report(cfg.x * step, step)
    return cfg.x * 9


app()
"""

PROMOTE = "hydra/sweeper/pruner=promote"
SPACE = "learning_rate=tag(log,interval(0.001,1))"


def trials_of(own_folder, count):
    """Return the runs of trials, without those that were killed before a checkpoint and begun anew."""
    _, *trials = sorted(own_folder.runs(), key=lambda run: run.info.start_time)
    replaced = {run.data.tags.get("runback.retry_of") for run in trials}
    for run in (run for run in trials if run.info.run_id in replaced):
        assert (run.info.status, curve(own_folder, run, "loss")) == ("KILLED", [])
    trials = [run for run in trials if run.info.run_id not in replaced]
    assert len(trials) == count
    assert {run.info.status for run in trials} <= {"FINISHED", "KILLED"}
    return trials


def curve(own_folder, run, metric):
    with sqlite3.connect(own_folder.folder / "mlruns" / "mlflow.db") as connection:
        sql = "SELECT step, value FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step"
        return connection.execute(sql, (run.info.run_id, metric)).fetchall()


def test_a_trial_that_has_paused_is_one_run_with_the_bits_of_an_uninterrupted_one(own_folder):
    (own_folder.folder / "fit.py").write_text(LOOP)
    settings = ("hydra.sweeper.n_trials=12", "hydra.sweeper.deterministic=true", "hydra.sweeper.first=none")
    done = own_folder.runback("sweep", "fit.py", SPACE, *settings, PROMOTE)
    assert done.returncode == 0, done.stderr
    assert " paused " in done.stdout
    trials = trials_of(own_folder, 12)
    gone_on = [run for run in trials if "runback.resumed" in run.data.tags]
    assert gone_on
    for run in trials:
        steps = [step for step, _ in curve(own_folder, run, "loss")]
        assert steps == [*range(1, len(steps) + 1)]
        assert len(steps) in (1, 3, 9)
        assert (len(steps) == 9) == (run.info.status == "FINISHED")
    whole = next(run for run in gone_on if run.info.status == "FINISHED")
    again = own_folder.runback("reproduce", whole.info.run_id, "--in-place")
    assert again.stdout.strip().endswith("bit-identical"), again.stderr
    assert not [*own_folder.folder.glob("mlruns/sweeps/fit/*/checkpoint-*.npz")]


def test_a_keras_fit_pauses_with_its_callback(own_folder):
    (own_folder.folder / "train.py").write_text(KERAS)
    space = "learning_rate=tag(log,interval(0.0001,0.1))"
    settings = ("hydra.sweeper.n_trials=5", "hydra.sweeper.deterministic=true", PROMOTE)
    done = own_folder.runback("sweep", "train.py", space, *settings)
    assert done.returncode == 0, done.stderr
    finished = [run for run in trials_of(own_folder, 5) if run.info.status == "FINISHED"]
    whole = next(run for run in finished if "runback.resumed" in run.data.tags)
    again = own_folder.runback("reproduce", whole.info.run_id, "--in-place")
    assert again.stdout.strip().endswith("bit-identical"), again.stderr


def test_a_training_without_checkpoints_begins_again_in_the_same_run(own_folder):
    (own_folder.folder / "fit.py").write_text(
        LOOP.replace("        run.checkpoint", "        # run.checkpoint")
    )
    settings = ("hydra.sweeper.n_trials=6", "hydra.sweeper.deterministic=true", "hydra.sweeper.first=none")
    done = own_folder.runback("sweep", "fit.py", SPACE, *settings, PROMOTE)
    assert done.returncode == 0, done.stderr
    trials = trials_of(own_folder, 6)
    assert any("beginning" in run.data.tags.get("runback.resumed", "") for run in trials)
    for run in trials:
        steps = [step for step, _ in curve(own_folder, run, "loss")]
        assert steps == [*range(1, len(steps) + 1)]


def test_a_hydra_apps_trial_goes_on_in_the_same_run(own_folder):
    (own_folder.folder / "app.py").write_text(HYDRA)
    config = "defaults:\n  - override hydra/sweeper: runback\nx: 0.5\n"
    config += "hydra: {sweeper: {experiment: mine, max_resource: 9}}\n"
    (own_folder.folder / "app.yaml").write_text(config)
    done = own_folder.python("app.py", "-m", "x=interval(0,1)", "hydra.sweeper.n_trials=6", PROMOTE)
    assert done.returncode == 0, done.stderr
    for run in trials_of(own_folder, 6):
        steps = [step for step, _ in curve(own_folder, run, "objective")]
        assert steps == [*range(1, len(steps) + 1)]
        assert (len(steps) == 9) == (run.info.status == "FINISHED")


def test_ctrl_c_leaves_paused_runs_scheduled_and_the_same_command_goes_on(own_folder):
    (own_folder.folder / "fit.py").write_text(LOOP)
    command = ["sweep", "fit.py", SPACE, "hydra.sweeper.n_trials=12", "wait=0.3", PROMOTE]
    process = begun(own_folder, command)
    lines = iter(process.stdout.readline, "")
    next(line for line in lines if " paused " in line)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 130
    runs = own_folder.runs()
    assert "RUNNING" not in {run.info.status for run in runs}
    paused = [run for run in runs if run.info.status == "SCHEDULED"]
    assert paused
    assert all(run.data.tags["runback.reason"].startswith("paused after epoch ") for run in paused)
    assert own_folder.runback("doctor").returncode in (0, 1)
    done = own_folder.runback(*command)
    assert done.returncode == 0, done.stderr
    trials_of(own_folder, 12)


def test_a_timeout_that_leaves_paused_trials_alone_is_no_failure_and_says_how_to_go_on(own_folder):
    (own_folder.folder / "fit.py").write_text(LOOP)
    command = ["sweep", "fit.py", SPACE, "hydra.sweeper.n_trials=30", "hydra.sweeper.first=null", PROMOTE]
    done = own_folder.runback(*command, "hydra.sweeper.timeout=3", "wait=3.5")
    assert done.returncode == 0, done.stderr
    sweep, *trials = sorted(own_folder.runs(), key=lambda run: run.info.start_time)
    assert sweep.info.status == "FINISHED"
    assert {run.info.status for run in trials} == {"SCHEDULED"}
    left = f"{30 - len(trials)} trials not begun, {len(trials)} paused"
    assert f"the timeout of 3 s ended it: {left}; the same command goes on" in done.stdout
    shown = own_folder.runback("compare", "--sweep", "fit")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("paused") >= len(trials)


def test_a_first_rung_behind_the_end_of_a_training_is_told_of(own_folder):
    (own_folder.folder / "fit.py").write_text(LOOP)
    rung = "hydra.sweeper.pruner.min_resource=9"
    done = own_folder.runback("sweep", "fit.py", SPACE, "hydra.sweeper.n_trials=1", PROMOTE, rung)
    assert done.returncode == 0, done.stderr
    assert "warning: no trial will pause: the first rung, step 9 " in done.stdout


HELD = LOOP.replace("import time", "import pathlib\nimport time").replace(
    "time.sleep(wait)",
    "while learning_rate < 0.01 and pathlib.Path('held').exists():\n            time.sleep(0.05)",
)
"""The loop whose poor trainings wait as long as there is a file."""

FIRST = "hydra.sweeper.first=['learning_rate=0.001','learning_rate=0.7','learning_rate=0.002']"


def paused_at_the_first_rung(own_folder):
    """Interrupt a sweep when trial 1, the best, has paused; return the command, the run, and the output."""
    (own_folder.folder / "fit.py").write_text(HELD)
    held = own_folder.folder / "held"
    held.touch()
    command = [
        "sweep",
        "fit.py",
        SPACE,
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.n_workers=2",
        FIRST,
        PROMOTE,
    ]
    command += ["epochs=4"]
    process = begun(own_folder, command)
    next(line for line in iter(process.stdout.readline, "") if " paused " in line)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=1200)
    assert process.returncode == 130
    held.unlink()
    [paused] = [run for run in own_folder.runs() if run.info.status == "SCHEDULED"]
    return command, paused.info.run_id, said


def test_a_paused_trial_is_called_so_and_only_its_sweep_goes_on_with_it(own_folder):
    command, run, said = paused_at_the_first_rung(own_folder)
    assert "paused trials, with which the same command goes on:" in said
    assert "the config as it is" not in said  # no trial is that
    doctor = own_folder.runback("doctor").stdout
    assert "1 trial paused\n" in doctor
    assert "1 SCHEDULED, each a trial that its sweep can go on with" in doctor
    loaded = own_folder.python("-c", "import runback; print(runback.load('fit'))").stdout
    assert ", 1 paused" in loaded.splitlines()[0]
    resumed = own_folder.runback("train", f"resume={run}")
    assert resumed.returncode == 2
    assert resumed.stderr.strip() == (
        f"runback: run {run} is trial 1 of sweep fit, which has paused it: the command that began the sweep "
        "goes on with it, if it is among the best"
    )
    exported = own_folder.runback("export", run, "paused.zip")
    assert exported.returncode == 0
    assert "the run is paused: the bundle has its training up to epoch 1" in exported.stdout
    again = own_folder.runback("reproduce", run, "--in-place")
    assert again.stdout.strip().endswith("bit-identical"), again.stderr
    assert own_folder.runback("clean", "--yes").stdout == "nothing to delete\n"
    assert own_folder.runback(*command).returncode == 0
    assert {one.info.status for one in own_folder.runs()} == {"FINISHED", "KILLED"}


@pytest.mark.parametrize("is_damaged", [True, False])
def test_a_checkpoint_that_is_damaged_or_gone_costs_a_line_and_the_epochs_before(own_folder, is_damaged):
    command, run, _ = paused_at_the_first_rung(own_folder)
    [checkpoint] = own_folder.folder.glob("mlruns/sweeps/fit/1/checkpoint-*.npz")
    if is_damaged:
        checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    else:
        checkpoint.unlink()
        doctor = own_folder.runback("doctor").stdout
        assert "1 trial paused; without a checkpoint 1: begun again where it goes on" in doctor
    done = own_folder.runback(*command)
    assert done.returncode == 0, done.stderr
    assert "trial   1  trains again from step 1: no checkpoint of step 1 can be used" in done.stdout
    [whole] = [one for one in own_folder.runs() if one.info.run_id == run]
    assert whole.info.status == "FINISHED"
    assert [step for step, _ in curve(own_folder, whole, "loss")] == [1, 2, 3, 4]
    assert not [*own_folder.folder.glob("mlruns/sweeps/fit/*/checkpoint-*.npz")]


def test_runs_of_a_sweep_that_is_gone_are_no_paused_ones_and_are_closed(own_folder):
    _, run, _ = paused_at_the_first_rung(own_folder)
    shutil.rmtree(own_folder.folder / "mlruns" / "sweeps" / "fit")
    found = own_folder.runback("doctor")
    assert found.returncode == 1
    assert f"1 run SCHEDULED that no sweep goes on with: {run[:12]}" in found.stdout
    assert "1 run closed as KILLED" in own_folder.runback("doctor", "--fix").stdout
    [closed] = [one for one in own_folder.runs() if one.info.run_id == run]
    assert closed.info.status == "KILLED"
    assert closed.data.tags["runback.reason"] == "paused, and no sweep goes on with it"


def begun(own_folder, command):
    return subprocess.Popen(
        [Path(sys.executable).with_name("runback"), *command],
        cwd=own_folder.folder, env=own_folder.environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow  # tests/sweeping/trials has the same with trials that train nothing
def test_kills_of_trials_and_of_the_sweep_lose_nothing(own_folder):
    (own_folder.folder / "fit.py").write_text(LOOP)
    command = ["sweep", "fit.py", SPACE, "hydra.sweeper.n_trials=14", "wait=0.2", PROMOTE]
    for _ in range(6):
        process = begun(own_folder, command)
        time.sleep(6 + 4 * random.random())  # noqa: S311 - any moment
        os.killpg(process.pid, signal.SIGKILL) if random.random() < 0.5 else process.kill()  # noqa: S311
        process.communicate(timeout=300)
    done = own_folder.runback(*command)
    assert done.returncode == 0, done.stderr
    trials = trials_of(own_folder, 14)
    for run in trials:
        steps = [step for step, _ in curve(own_folder, run, "loss")]
        assert steps == [*range(1, len(steps) + 1)]
    for run in [run for run in trials if run.info.status == "FINISHED"]:
        assert own_folder.runback("reproduce", run.info.run_id, "--in-place").returncode == 0
