"""All GPUs of a machine train one network: here virtual devices on the processor, in their own process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runback.classifier.train_config import TrainingConfig
from runback.classifier.training import mirroring
from runback.classifier.training.mirroring import strategy_of
from runback.errors import InputError

SCRIPT = Path(__file__).with_name("mirrored_trainings.py")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    done = run(env={**os.environ, **QUIET})
    assert done.returncode == 0, done.stderr
    assert "ran out of data" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_two_devices_train_as_one_does_on_the_same_batches(trained):
    one, two = trained["one"], trained["two"]
    assert (one["devices"], two["devices"]) == (1, 2)
    assert two["norm"] == pytest.approx(one["norm"], rel=1e-3)
    for a, b in zip(one["history"], two["history"], strict=True):
        assert b == pytest.approx(a, rel=1e-2, abs=1e-2)
    assert one["hash"] != two["hash"]


def test_random_layers_draw_the_same_in_each_training_and_other_numbers_on_each_device(trained):
    assert trained["random"] == trained["random again"]
    assert trained["random"]["hash"] != trained["two"]["hash"]


def test_predictions_of_a_divided_validation_are_kept_in_order(trained):
    assert all(one["are_in_order"] for one in trained.values())


def test_a_training_stopped_within_an_epoch_ends_with_the_bits_that_it_would_have_had(trained):
    assert trained["resumed"] == trained["random"]


SMALL = ("training.epochs=2", "training.threads=1", "model.dense_width=8", "training.distribution=mirrored")


@pytest.fixture(scope="module")
def mirrored(module_project) -> Any:
    done = run("train", *SMALL, cwd=module_project.folder, env=module_project.environment(**QUIET))
    assert done.returncode == 0, done.stderr
    return module_project


@pytest.mark.slow
def test_the_number_of_devices_is_recorded_and_another_one_is_said_in_a_line(mirrored):
    run_id = mirrored.runs()[0].info.run_id
    record = mirrored.client().download_artifacts(run_id, "record/record.json")
    assert json.loads(Path(record).read_text())["devices"] == 2
    again = run("reproduce", run_id, cwd=mirrored.folder, env=mirrored.environment(**QUIET))
    assert again.returncode == 0, again.stdout + again.stderr
    assert "GPUs that divide" not in again.stdout
    four = mirrored.environment(**QUIET, DEVICES="4")
    other = run("reproduce", run_id, cwd=mirrored.folder, env=four)
    lines = [line for line in other.stdout.splitlines() if "GPUs that divide" in line]
    assert lines, other.stdout + other.stderr
    assert "2" in lines[0]
    assert "4" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "arguments", "reason"),
    [
        (1, (), "training.distribution=mirrored needs two GPUs or more; there is one here"),
        (
            3,
            (),
            "training.batch_size is divided among 3 GPUs with training.distribution=mirrored: it must",
        ),
        (2, ("training.batch_size=1148",), "the last batch of a pass has 1 of the images, too few for 2"),
    ],
)
def test_what_cannot_be_divided_is_one_line_before_training(module_project, devices, arguments, reason):
    before = len(module_project.runs())
    environment = module_project.environment(**QUIET, DEVICES=str(devices))
    done = run("train", *SMALL, *arguments, cwd=module_project.folder, env=environment)
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("I0000", "WARNING: All"))]
    assert (done.returncode, len(lines)) == (2, 1)
    assert reason in lines[0]
    assert len(module_project.runs()) == before


def test_a_machine_without_gpus_refuses_it():
    with pytest.raises(InputError, match="needs two GPUs or more; there is none here: use"):
        strategy_of(TrainingConfig(distribution="mirrored"), 100, 100)


@pytest.mark.parametrize(
    ("n_train", "n_validation", "reason"),
    [(64, 1, "the validation split has 1"), (66, 1, "the validation split has 1"), (65, 9, "pass has 1 ")],
)
def test_why_images_cannot_be_divided_is_what_is_too_few(monkeypatch, n_train, n_validation, reason):
    monkeypatch.setattr(mirroring, "local_devices", lambda: ["GPU:0", "GPU:1"])
    with pytest.raises(InputError, match=reason):
        strategy_of(TrainingConfig(distribution="mirrored", batch_size=32), n_train, n_validation)
    with pytest.raises(InputError, match="must be mirrored or null; got 'all'"):
        TrainingConfig(distribution="all")


@pytest.mark.slow
def test_a_sweep_of_mirrored_trainings_refuses_two_trials_at_once(project):
    done = project.run("train", "--multirun", "seed=range(2)", *SMALL, "hydra.sweeper.n_workers=2")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "hydra.sweeper.n_workers must be 1 where a trial has all GPUs" in done.stderr
