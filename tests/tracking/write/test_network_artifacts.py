import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest
from mlflow.utils.file_utils import local_file_uri_to_path

from runback.tracking.read.find_runs import artifacts, download
from runback.tracking.write.delivery import deliver_folder
from runback.tracking.write.network_artifacts import log_network
from runback.tracking.write.run_writer import recording


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((6, 5, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def logged(run, network):
    """A run with the network in it, and the logged model's local folder."""
    log_network(run, network, ("cat", "dog", "ship"))
    model = _model(run)
    return run, model, Path(local_file_uri_to_path(model.artifact_location))


def test_a_run_gets_the_networks_files_and_stays_running(logged, network):
    run, _, _ = logged
    assert artifacts(run.store, run.id) == [
        "architecture.json",
        "model.keras",
        "model.weights.h5",
        "model_summary.txt",
    ]
    assert run.store.client.get_run(run.id).info.status == "RUNNING"
    assert mlflow.active_run() is None
    assert "Total params" in download(run.store, run.id, "model_summary.txt").read_text()


def test_the_files_rebuild_the_network(logged, network, images):
    run, _, _ = logged
    expected = network.predict(images, verbose=0)
    whole = keras.saving.load_model(download(run.store, run.id, "model.keras"), compile=False)
    np.testing.assert_array_equal(whole.predict(images, verbose=0), expected)
    rebuilt = keras.models.model_from_json(download(run.store, run.id, "architecture.json").read_text())
    rebuilt.load_weights(download(run.store, run.id, "model.weights.h5"))
    np.testing.assert_array_equal(rebuilt.predict(images, verbose=0), expected)


def test_the_logged_model_is_ready_and_linked_with_its_run(logged, network):
    run, model, folder = logged
    assert (model.name, str(model.status), model.source_run_id) == ("model", "READY", run.id)
    described = mlflow.models.Model.load(str(folder))
    assert (described.run_id, described.model_id) == (run.id, model.model_id)
    assert described.metadata == {"class_names": ["cat", "dog", "ship"]}
    assert described.signature.inputs.to_dict()[0]["tensor-spec"] == {
        "dtype": "uint8",
        "shape": (-1, 6, 5, 3),
    }
    assert described.signature.outputs.to_dict()[0]["tensor-spec"] == {"dtype": "float32", "shape": (-1, 3)}
    requirements = (folder / "requirements.txt").read_text().splitlines()
    assert requirements == [f"{name}=={version(name)}" for name in ("mlflow", "keras", "tensorflow", "numpy")]


def test_pyfunc_answers_raw_images_and_refuses_others(logged, network, images):
    _, _, folder = logged
    model = mlflow.pyfunc.load_model(str(folder))
    np.testing.assert_array_equal(model.predict(images), network.predict(images, verbose=0))
    with pytest.raises(mlflow.exceptions.MlflowException, match="schema"):
        model.predict(images[:, :3])


def test_the_model_uri_in_mlflows_ui_can_be_loaded(logged, network, images, monkeypatch):
    run, model, _ = logged
    monkeypatch.setenv("MLFLOW_TRACKING_URI", run.store.uri)
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    np.testing.assert_array_equal(loaded.predict(images), network.predict(images, verbose=0))


def test_mlflow_serves_the_logged_model_to_raw_images(logged, network, images):
    _, _, folder = logged
    with _served(folder) as url:
        body = json.dumps({"inputs": images.tolist()}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{url}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            predictions = np.array(json.load(answer)["predictions"], np.float32)
    np.testing.assert_allclose(predictions, network.predict(images, verbose=0), rtol=1e-6)


def test_a_network_that_the_store_refuses_waits_and_is_logged_once(run, network, caplog):
    models = run.store.layout.artifacts / "digits" / "models"
    models.parent.mkdir(parents=True, exist_ok=True)
    models.write_text("a file where a folder belongs")
    with recording(run):
        log_network(run, network, ("cat", "dog", "ship"))
    assert [line.split(":")[0] for line in caplog.messages] == ["cannot store the network"]
    found = run.store.client.get_run(run.id)
    assert found.info.status == "FINISHED"
    assert str(_model(run).status) != "READY"
    models.unlink()
    assert deliver_folder(run.store, run.store.layout.runs / "one") == []
    assert str(_model(run).status) == "READY"
    assert len(run.store.client.search_logged_models([found.info.experiment_id])) == 1
    folder = Path(local_file_uri_to_path(_model(run).artifact_location))
    assert mlflow.pyfunc.load_model(str(folder))


def _model(run):
    (output,) = run.store.client.get_run(run.id).outputs.model_outputs
    return run.store.client.get_logged_model(output.model_id)


@contextlib.contextmanager
def _served(folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    # MLflow starts `uvicorn` by name, as a person's activated environment lets it.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [*command, "--model-uri", str(folder), "--host", "127.0.0.1", "--port", str(port)],
        env=os.environ | {"PATH": path},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/ping", process)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(url, process):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert process.poll() is None
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310
            return
        time.sleep(0.2)
    raise AssertionError(f"{url} does not answer")
