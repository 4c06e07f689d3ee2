"""Trainings and sweeps whose tracking server is really killed, and comes back, or does not."""

import contextlib
import itertools
import json
import os
import random
import signal
import time

import pytest

TINY = ("data=synthetic", "model.widths=[4,4]", "model.dense_width=8")

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "epoch_seconds")

ARTIFACTS = {
    *("config.yaml", "overrides.yaml", "record/record.json", "record/result.json", "curves.png"),
    *("model.keras", "model.weights.h5", "architecture.json", "model_summary.txt"),
}

SWEEP = """# @package _global_
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: random
model: {widths: [4, 4], dense_width: 8}
hydra:
  sweeper:
    n_trials: 3
    n_workers: 2
    params:
      optimizer.learning_rate: interval(0.001, 0.01)
"""


@pytest.fixture
def environment(server):
    return {"MLFLOW_TRACKING_URI": server.uri}


@pytest.fixture
def start(project, environment):
    """Start a command that a failing test does not leave behind."""
    started = []

    def starting(*arguments):
        started.append(project.start(*arguments, **environment))
        return started[-1]

    yield starting
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def epochs(folder):
    """The lines of the run's mirror that are epochs."""
    mirror = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in mirror.read_text().splitlines()] if mirror.exists() else []
    return [line for line in lines if "loss" in line["metrics"]]


def wait_for(condition, process, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def folder_of(project, run):
    return project.folder / "mlruns" / run.data.tags["runback.folder"]


def check_whole(project, server, run, count):
    """Everything of this run is in the store once, and no epoch took over 3 s longer than the usual one."""
    assert run.info.status == "FINISHED"
    for name in CURVES:
        steps = [point.step for point in server.client.get_metric_history(run.info.run_id, name)]
        assert steps == list(range(1, count + 1))
    samples = server.client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in samples] == list(range(len(samples)))
    assert set(files(server, run.info.run_id)) == ARTIFACTS
    (output,) = run.outputs.model_outputs
    assert str(server.client.get_logged_model(output.model_id).status) == "READY"
    folder = folder_of(project, run)
    assert not (folder / "outbox").exists()
    times = [line["time"] for line in epochs(folder)]
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    assert gaps[-1] - gaps[len(gaps) // 2] < 3


def files(server, run_id, folder=None):
    for entry in server.client.list_artifacts(run_id, folder):
        if entry.is_dir:
            yield from files(server, run_id, entry.path)
        else:
            assert entry.file_size > 0
            yield entry.path


def deliver_rest(project, environment, err):
    """Deliver what a loaded machine was too slow for: the server had come back too late."""
    if "to be stored whole" in err:
        assert project.run("sync", **environment).returncode == 0


def run_of(server, out):
    """The run that a training has printed last."""
    return server.client.get_run(out.splitlines()[-1].removeprefix("run "))


@pytest.mark.slow
def test_a_server_that_is_killed_costs_no_training_a_thing(project, server, environment, start):
    long, short = (start("train", *TINY, f"training.epochs={count}") for count in (150, 25))
    runs = project.folder / "mlruns" / "runs"
    for process in (long, short):
        wait_for(lambda: sum(len(epochs(folder)) > 2 for folder in runs.glob("*")) == 2, process)
    server.kill()
    out, err = short.communicate(timeout=1200)
    ended = int(time.time() * 1000)
    assert short.returncode == 0, err
    away, waits = err.splitlines()
    assert "the store is away" in away
    assert waits == "1 run waits to be stored whole: `runback sync` delivers it"
    server.start()

    out_of_long, err = long.communicate(timeout=1200)
    assert long.returncode == 0, err
    assert err.count("the store is away") == 1
    deliver_rest(project, environment, err)
    check_whole(project, server, run_of(server, out_of_long), 150)

    killed = start("sync")
    time.sleep(random.uniform(1, 4))  # noqa: S311
    killed.kill()
    killed.communicate()
    assert project.run("sync", **environment).returncode == 0
    check_whole(project, server, run_of(server, out), 25)
    assert run_of(server, out).info.end_time <= ended
    assert project.run("sync", **environment).stdout == "nothing waits\n"


def sweep(project, server, environment, start, epochs_each, away):
    """Sweep, with the server killed for so many seconds while two trials train."""
    (project.folder / "sweeps").unlink()
    (project.folder / "sweeps").mkdir()
    (project.folder / "sweeps" / "away.yaml").write_text(SWEEP)
    before = len(server.runs())
    process = start("sweep", "away", f"training.epochs={epochs_each}")
    folder = project.folder / "mlruns" / "sweeps" / "away"
    wait_for(lambda: len(epochs(folder / "0")) > 3 and len(epochs(folder / "1")) > 3, process)
    server.kill()
    time.sleep(away)
    server.start()
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, out + err
    assert err.count("the store is away") <= 1
    deliver_rest(project, environment, err)
    parent, *trials = server.runs()[before:]
    assert (parent.data.tags["runback.kind"], parent.info.status) == ("sweep", "FINISHED")
    best = server.client.get_metric_history(parent.info.run_id, "best_val_accuracy")
    assert [point.step for point in best] == [1, 2, 3]
    assert sorted(run.data.tags["runback.trial"] for run in trials) == ["0", "1", "2"]
    for run in trials:
        check_whole(project, server, run, epochs_each)
    assert not (folder / "outbox").exists()


def test_a_server_that_is_killed_and_comes_back_costs_a_sweep_nothing(project, server, environment, start):
    sweep(project, server, environment, start, epochs_each=25, away=0)


@pytest.mark.slow
@pytest.mark.parametrize("epochs_each", [25, 400])
def test_a_server_that_is_away_for_a_minute_costs_a_sweep_nothing(
    project, server, environment, start, epochs_each
):
    sweep(project, server, environment, start, epochs_each, away=60)
