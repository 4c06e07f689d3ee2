"""Classes of unequal size on the command line: weights, smoothing and scores, recorded and run back."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SHORT = ("training.epochs=2", "model.dense_width=8", "training.threads=1")
PETS = ("data=folder", "data.path=pets", "data.duplicates=drop")
COUNTS = {"cat": 40, "dog": 12, "fox": 8}


def write_pets(folder: Path) -> None:
    """Write images of three classes, and in the test split a copy of one of the cats."""
    generator = np.random.default_rng(0)
    for number, (name, n) in enumerate(COUNTS.items()):
        for split, count in (("train", n), ("val", 3), ("test", 3)):
            (folder / split / name).mkdir(parents=True)
            for image in range(count):
                noise = generator.integers(0, 120, (12, 12, 3)) + 60 * number
                Image.fromarray(noise.astype(np.uint8)).save(folder / split / name / f"{image}.png")
    (folder / "test/cat/copy.png").write_bytes((folder / "train/cat/0.png").read_bytes())


@pytest.fixture(scope="module")
def project(module_project):
    write_pets(module_project.folder / "pets")
    return module_project


def record_of(project, run):
    path = project.client().download_artifacts(run.info.run_id, "record/record.json")
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_a_balanced_training_says_and_records_its_weights_and_runs_back_bit_identically(project):
    done = project.run(
        *("train", *PETS, *SHORT, "augmentation=flip", "training.class_weight=balanced"),
        *("training.label_smoothing=0.1", "training.top_k=2", "training.objective=val_macro_f1"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    # 39 cats: the copy of a test image is dropped before the weights are made.
    weights = {name: 59 / (3 * n) for name, n in (("cat", 39), ("dog", 12), ("fox", 8))}
    said = ", ".join(f"{name} {weight:.4g}" for name, weight in weights.items())
    assert f"{said}; val_loss is unweighted" in done.stdout
    assert "training.label_smoothing=0.1 is in the training loss only" in done.stdout
    assert "val_macro_f1" in done.stdout
    (run,) = project.runs()
    assert record_of(project, run)["class_weights"] == pytest.approx(weights)
    assert run.data.params["training.class_weight"] == "balanced"
    assert {"val_macro_f1", "val_top_k_accuracy", "macro_f1", "top_k_accuracy"} <= run.data.metrics.keys()
    report = json.loads(project.run("evaluate", run.info.run_id, "--json").stdout)
    quality = {name: one["value"] for name, one in report["quality"].items() if "value" in one}
    assert 0 <= quality["macro_f1"] <= 1
    assert quality["top_2_accuracy"] >= quality["accuracy"]
    assert "test_macro_f1" in project.client().get_run(run.info.run_id).data.metrics
    reproduced = project.run("reproduce", run.info.run_id)
    assert reproduced.returncode == 0, reproduced.stderr
    assert "bit-identical: compared 9 metrics" in reproduced.stdout


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.class_weight=balancd", "must be balanced, null, or numbers above 0"),
        ("training.class_weight={cta: 2}", "there is no class 'cta'; did you mean 'cat'?"),
        (
            "training.class_weight=[1,2]",
            "expected a number for each of 3 classes, which are cat, dog, fox; got 2",
        ),
        ("training.top_k=3", "training.top_k must be less than 3, the number of classes"),
        ("training.objective=val_top_k_accuracy", "set training.top_k"),
        ("training.label_smoothing=1", "training.label_smoothing must lie in [0, 1)"),
    ],
)
def test_options_that_cannot_be_are_one_line_and_leave_no_run(project, override, expected):
    before = len(project.runs())
    ((code, _, err),) = project.run_many(["train", *PETS, *SHORT, override])
    assert (code, err.count("\n")) == (2, 1)
    assert expected in err
    assert len(project.runs()) == before


def test_class_weights_are_searched_and_macro_f1_is_the_objective(project):
    done = project.run(
        *("train", "--multirun", *PETS, *SHORT, "training.objective=val_macro_f1"),
        *("training.class_weight=null,balanced", "hydra.sweeper.name=weights", "hydra.sweeper.n_workers=1"),
    )
    assert done.returncode == 0, done.stderr
    study = project.study("weights")
    assert [trial.params for trial in study.trials] == [
        {"training.class_weight": None},
        {"training.class_weight": "balanced"},
    ]
    assert study.direction.name == "MAXIMIZE"
    runs = {run.data.tags.get("runback.trial"): run for run in project.runs()}
    for trial in study.trials:
        assert trial.value == runs[str(trial.number)].data.metrics["val_macro_f1"]
