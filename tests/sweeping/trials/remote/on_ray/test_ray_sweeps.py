"""Whole sweeps on Ray: nodes that go and come, coordinators that are killed, the same results as here."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TASK = """
import os
import time
import urllib.parse
from pathlib import Path

import runback


@runback.task(objective="val_accuracy")
def train(run: runback.Run, *, x: float = 0.5, epochs: int = 8) -> float:
    for epoch in run.epochs(epochs):
        time.sleep(0.25)
        with Path(os.environ["EPOCHS"]).open("a") as file:
            file.write(f"{x} {epoch}\\n")
        run.log(val_accuracy=x * epoch)
        run.checkpoint({"x": x})
    return x


if __name__ == "__main__":
    train.main()
"""

KERAS = """
import keras
import numpy as np
import runback


@runback.task(objective="val_loss")
def train(run: runback.Run, *, learning_rate: float = 1e-3, epochs: int = 2) -> float:
    images = np.random.default_rng(0).normal(size=(256, 8, 8, 3)).astype("float32")
    labels = (images.mean(axis=(1, 2, 3)) > 0).astype("float32")
    x, y = run.data((images, labels))
    model = keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(1),
        ]
    )
    model.compile(keras.optimizers.Adam(learning_rate), loss="binary_crossentropy")
    model.fit(
        x, y, epochs=epochs, validation_split=0.25, verbose=0, callbacks=[runback.keras.Callback(run)]
    )
    return run.best("val_loss")


if __name__ == "__main__":
    train.main()
"""


class Sweep:
    """A sweep of 12 trials of a script in a project of its own."""

    def __init__(self, folder, script=TASK, temporary=None):
        self.folder = folder
        (folder / "pyproject.toml").write_text("[tool.runback]\n")
        (folder / "train.py").write_text(script)
        self.epochs = folder / "epochs"
        self.temporary = temporary or tempfile.gettempdir()

    def start(self, *words, n=12):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
        command = [
            *(sys.executable, "train.py", "--multirun", "x=interval(0,1)", f"hydra.sweeper.n_trials={n}"),
            *("hydra.sweeper.name=s", "hydra.sweeper.n_workers=3", "hydra/sweeper/engine=ray", *words),
        ]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**kept, "EPOCHS": str(self.epochs), "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def study(self):
        from runback.sweeping.study.study_store import read_study

        return read_study(self.folder / "mlruns" / "sweeps" / "s", "s")

    def wait_for_epochs(self, n, process, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            if self.epochs.exists() and len(self.epochs.read_text().splitlines()) >= n:
                return
            time.sleep(0.05)
        raise TimeoutError

    def own_processes(self):
        """Return the processes that belong to the sweep: trials, workers, their helpers."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                words = " ".join(process.cmdline())
                if str(self.folder) in words or process.environ().get("EPOCHS") == str(self.epochs):
                    found.append(process)
        return [one for one in found if one.pid != os.getpid()]

    def nothing_is_left(self):
        return not psutil.wait_procs(self.own_processes(), timeout=30)[1]

    def twelve_are_done(self):
        study = self.study()
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
        epochs = {}
        for line in self.epochs.read_text().splitlines():
            x, epoch = line.split()
            epochs.setdefault(float(x), []).append(int(epoch))
        assert sorted(epochs) == sorted(trial.value for trial in study.trials)
        assert {max(seen) for seen in epochs.values()} == {7}
        return epochs


def of(cluster):
    return f"hydra.sweeper.engine.address={cluster.address}"


@pytest.mark.parametrize("deep", [False, True], ids=["actors", "all"])
def test_a_node_that_is_killed_and_one_that_joins_cost_no_trial(tmp_path, ray_nodes, deep):
    cluster = ray_nodes({"CPU": 2}, {"CPU": 2})
    sweep = Sweep(tmp_path)
    process = sweep.start(of(cluster))
    sweep.wait_for_epochs(24, process)
    cluster.order(kill=1, deep=deep)
    cluster.order(add={"CPU": 2})
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert re.findall(r"its node of the Ray cluster is gone|its Ray actor", out)
    sweep.twelve_are_done()
    assert sweep.nothing_is_left()
    assert cluster.actors(0, 2) == []
    assert not [one for one in psutil.Process().children() if one.status() == psutil.STATUS_ZOMBIE]


@pytest.fixture
def short_folder():
    """A folder for temporary files, whose name is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGINT], 130), ([signal.SIGINT] * 2, 130), ([signal.SIGTERM], 143), ([signal.SIGKILL], -9)],
    ids=["ctrl-c", "ctrl-c twice", "SIGTERM", "kill -9"],
)
@pytest.mark.parametrize("where", ["own", "other"])
def test_a_sweep_that_is_stopped_leaves_nothing_behind_and_goes_on(
    tmp_path, short_folder, ray_cluster, signals, code, where
):
    address = [] if where == "own" else [of(ray_cluster)]
    sweep = Sweep(tmp_path, temporary=short_folder)
    process = sweep.start(*address, "hydra.sweeper.engine.cpus_per_trial=0.5")
    sweep.wait_for_epochs(16, process)
    for signum in signals:
        os.killpg(process.pid, signum) if signum is not signal.SIGKILL else process.kill()
        time.sleep(0.7)
    process.communicate(timeout=120)
    assert process.returncode == code
    assert sweep.nothing_is_left()
    assert not list(sweep.temporary.iterdir())
    again = sweep.start(*address, "hydra.sweeper.engine.cpus_per_trial=0.5")
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    epochs = sweep.twelve_are_done()
    if signals != [signal.SIGINT] * 2:  # from a checkpoint: none again but the one in which it was stopped
        assert all(sorted(set(seen)) == list(range(8)) and len(seen) <= 9 for seen in epochs.values())
    assert sweep.nothing_is_left()
    assert not list(sweep.temporary.iterdir())


def results(folder):
    """Return the result of each of a sweep's trials, by its params."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    found = {}
    for experiment in client.search_experiments():
        for run in client.search_runs([experiment.experiment_id]):
            rate = run.data.params.get("learning_rate")
            if rate is None or "mlflow.parentRunId" not in run.data.tags:
                continue
            uri = urllib.parse.urlparse(run.info.artifact_uri)
            file = Path(urllib.parse.unquote(uri.path)) / "record" / "result.json"
            found[rate] = json.loads(file.read_text())
    return found


def test_each_trials_result_is_the_same_bit_for_bit_on_ray_and_here(tmp_path):
    found = {}
    for engine in ("local", "ray"):
        folder = tmp_path / engine
        folder.mkdir()
        sweep = Sweep(folder, KERAS)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
        command = [
            *(sys.executable, "train.py", "--multirun", "learning_rate=choice(1e-4,1e-3,1e-2)"),
            *("hydra/sweeper/sampler=grid", "hydra.sweeper.name=s", "hydra.sweeper.n_workers=2"),
            *("hydra.sweeper.threads=1", f"hydra/sweeper/engine={engine}"),
        ]
        done = subprocess.run(
            command, cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        found[engine] = results(folder)
        assert sweep.nothing_is_left()
    assert len(found["local"]) == 3
    assert found["ray"] == found["local"]
