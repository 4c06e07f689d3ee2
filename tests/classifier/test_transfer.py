"""`runback train model=backbone`: recorded, run back bit-identically, interrupted in either phase, tested."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MAKE_WEIGHTS = """
import keras

keras.utils.set_random_seed(0)
options = {"weights": None, "include_top": False, "input_shape": (32, 32, 3), "alpha": 0.35}
network = keras.applications.MobileNetV2(**options)
network.save_weights("mobile.weights.h5")
network.set_weights([weight * 0.9 for weight in network.get_weights()])
network.save_weights("other.weights.h5")
"""

OVERRIDES = (
    *("model=backbone", "model.weights=mobile.weights.h5", "model.options={alpha: 0.35}"),
    *("model.frozen_epochs=2", "model.fine_tuning_rate=1e-4", "training.epochs=4", "training.threads=1"),
    *("data=synthetic", "data.height=32", "data.width=32", "data.n_train=160", "augmentation=flip"),
)


@pytest.fixture(scope="module")
def project(module_project):

    subprocess.run(
        [sys.executable, "-c", MAKE_WEIGHTS],
        cwd=module_project.folder,
        env=module_project.environment(),
        check=True,
        capture_output=True,
    )
    return module_project


@pytest.fixture(scope="module")
def trained(project):
    done = project.run("train", *OVERRIDES)
    assert (done.returncode, done.stderr) == (0, "")
    run = project.runs()[0]
    return project, run, done.stdout


def record_file(project, run, name):
    path = project.client().download_artifacts(run.info.run_id, f"record/{name}.json")
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_the_block_says_the_phases_and_the_record_has_the_file(trained):
    project, run, said = trained
    file = project.folder / "mobile.weights.h5"
    assert (
        f"note: model: MobileNetV2 begins with the weights in {file}; in the first 2 epochs "
        "(model.frozen_epochs) only the new layer is trained, then all are, at 0.0001 "
        "(model.fine_tuning_rate)"
    ) in said
    recorded = record_file(project, run, "record")["weights"]
    assert recorded["file"] == "mobile.weights.h5"
    assert len(recorded["sha256"]) == 64
    assert run.data.params["model.weights"] == str(file)
    assert run.data.params["model.name"] == "MobileNetV2"
    assert run.data.params["model.options.alpha"] == "0.35"
    rates = [one.value for one in project.client().get_metric_history(run.info.run_id, "learning_rate")]
    assert rates == pytest.approx([0.001, 0.001, 1e-4, 1e-4])


def test_it_runs_back_bit_identically_and_is_tested(trained):
    project, run, _ = trained
    done = project.run("reproduce", run.info.run_id)
    assert done.returncode == 0, done.stderr
    assert "bit-identical: compared 5 metrics of epochs 1 to 4" in done.stdout
    report = json.loads(project.run("evaluate", run.info.run_id, "--json").stdout)
    assert 0 <= report["quality"]["macro_f1"]["value"] <= 1


@pytest.mark.parametrize("epochs", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_interrupted_in_either_phase_it_goes_on_to_the_same_bits(trained, epochs):
    project, run, _ = trained
    process = project.start("train", *OVERRIDES)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    next(line for line in lines if line.startswith(f"epoch {epochs}/4"))
    time.sleep(0.2)
    project.interrupt(process, signal.SIGTERM)
    process.communicate(timeout=1200)
    interrupted = next(one for one in project.runs() if one.info.status == "KILLED")
    done = project.run("train", f"resume={interrupted.info.run_id}")
    assert done.returncode == 0, done.stderr
    expected, result = (record_file(project, one, "result") for one in (run, interrupted))
    assert result["weights"] == expected["weights"]
    assert result["predictions"] == expected["predictions"]
    assert result["epochs"] == expected["epochs"]


def test_other_weights_under_the_same_name_are_refused_before_training(trained):
    project, run, _ = trained
    file, kept = project.folder / "mobile.weights.h5", (project.folder / "mobile.weights.h5").read_bytes()
    before = len(project.runs())
    try:
        file.write_bytes((project.folder / "other.weights.h5").read_bytes())
        changed = project.run("reproduce", run.info.run_id)
        file.unlink()
        gone = project.run("reproduce", run.info.run_id)
    finally:
        file.write_bytes(kept)
    assert changed.returncode == gone.returncode == 2
    assert "weights to begin with are not those of the run: recorded mobile.weights.h5" in changed.stderr
    assert f"model.weights: there is no file {file}" in gone.stderr
    assert len(project.runs()) == before


def test_what_cannot_be_trained_is_one_line_and_leaves_no_run(project):
    before = len(project.runs())
    small = ("data.height=8", "data.width=8")
    cases = [
        (("model.weights=imagenet",), "not in Keras' cache, and nothing is downloaded here: put "),
        (("model.weights=absent.keras",), f"there is no file {project.folder}/absent.keras"),
        (("model.options={alpha: 0.5}",), "does not fit MobileNetV2 without its top"),
        (("model.name=MobilNetV2",), "no network 'MobilNetV2'; did you mean 'MobileNetV2'?"),
        (small, "needs images of at least 32x32 pixels; got 8x8"),
    ]
    lines = [["train", *OVERRIDES, *overrides] for overrides, _ in cases]
    results = project.run_many(*lines, KERAS_HOME=str(project.folder / "keras"))
    for (code, _, err), (_, expected) in zip(results, cases, strict=True):
        assert (code, err.count("\n")) == (2, 1)
        assert expected in err
    assert len(project.runs()) == before


@pytest.mark.slow
def test_networks_are_searched_by_name(project):
    done = project.run(
        *(
            "train",
            "--multirun",
            *OVERRIDES,
            "model.weights=null",
            "model.frozen_epochs=0",
            "training.epochs=1",
        ),
        *("model.options={alpha: 0.35}", "model.name=MobileNetV2,MobileNet", "hydra.sweeper.name=networks"),
        "hydra.sweeper.n_workers=1",
    )
    assert done.returncode == 0, done.stderr
    names = [trial.params["model.name"] for trial in project.study("networks").trials]
    assert names == ["MobileNetV2", "MobileNet"]


def test_features_of_a_frozen_network_are_trained_on_alone(project):
    shorter = [one for one in OVERRIDES if not one.startswith(("training.epochs", "model.frozen_epochs"))]
    done = project.run("train", *shorter, "training.epochs=1", "model.frozen_epochs=1", "training.patience=1")
    assert (done.returncode, done.stderr) == (0, "")
    told = "model.frozen_epochs is not below training.epochs: nothing is fine-tuned"
    assert f"  note: {told}\n" in done.stdout
    run = project.client().get_run(done.stdout.split()[-1])
    assert told in record_file(project, run, "record")["data_summary"]["notes"]
    assert told.replace("_", "\\_") in run.data.tags["mlflow.note.content"]
