"""A trial has the same result on each engine, also where its worker has to leave in the middle."""

import contextlib
import subprocess
import time

import pytest

pytestmark = [pytest.mark.timeout(900), pytest.mark.slow]

TASK = """
import time

import numpy as np

import runback


@runback.task(objective="loss", direction="minimize")
def fit(run, *, learning_rate: float = 0.1, epochs: int = 12, wait: float = 0.4):
    rng = np.random.default_rng(run.seed)
    x, y = run.data((rng.normal(size=(64, 3)), rng.normal(size=64)))
    w = np.zeros(3)
    if run.state:
        w, rng = run.state["w"], run.state["rng"]
    for epoch in run.epochs(epochs):
        w = w - learning_rate * (x.T @ (x @ w - y) / len(y) + 0.01 * rng.normal(size=3))
        time.sleep(wait)
        run.log(loss=np.mean((x @ w - y) ** 2))
        run.checkpoint({"w": w, "rng": rng})
    run.result(weights=w, predictions=x @ w)
    return run.best("loss")


if __name__ == "__main__":
    fit.main()
"""

SWEEP = (
    *("train.py", "learning_rate=tag(log,interval(1e-3,1))", "hydra.sweeper.n_trials=4", "run.threads=1"),
    *("hydra/sweeper/sampler=random", "hydra.sweeper.n_workers=2"),
)


@pytest.fixture
def on_this_machine(project):
    (project.folder / "train.py").write_text(TASK)
    done = project.run("sweep", *SWEEP, "hydra.sweeper.name=here", "wait=0")
    assert done.returncode == 0, done.stderr
    return values(project, "here")


def values(project, name):
    """Return each trial's params and all values that it has reported and returned, exactly."""
    trials = project.study(name).get_trials(deepcopy=False)
    return [(one.params, one.intermediate_values, one.values) for one in trials]


def test_a_worker_that_has_to_leave_changes_no_bit(project, slurm, on_this_machine):
    process = project.start("sweep", *SWEEP, "hydra.sweeper.name=there", "hydra/sweeper/engine=slurm")
    try:
        job = running_worker(project)
        time.sleep(2)  # in the middle of a trial
        subprocess.run(["scancel", "--signal=USR2", "--batch", job], check=True)
        out, err = process.communicate(timeout=400)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "its worker had to leave (SIGUSR2); to go on" in out
    assert values(project, "there") == on_this_machine


def running_worker(project):
    """Return an element of the array that trains a trial."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(IndexError, AttributeError):
            if project.study("there").get_trials(deepcopy=False)[0].intermediate_values:
                shown = subprocess.run(
                    ["squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i"],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                return shown.stdout.split()[0]
        time.sleep(0.2)
    raise TimeoutError


def test_workers_of_a_ray_cluster_change_no_bit(project, on_this_machine):
    pytest.importorskip("ray")
    done = project.run("sweep", *SWEEP, "hydra.sweeper.name=there", "hydra/sweeper/engine=ray", "wait=0")
    assert done.returncode == 0, done.stderr
    assert values(project, "there") == on_this_machine
