"""People's own images on the command line: what is said, what is recorded, and which images are tested on."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from runback.classifier.data.folder import load

SHORT = ("training.epochs=1", "model.dense_width=8", "training.threads=1")


def write_pets(folder, seed, n=12):
    generator = np.random.default_rng(seed)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(n):
            noise = generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / name / f"{number}.png")


def run_in(project, folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "runback", *arguments],
        cwd=folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(module_project):
    """Train on a folder that is named by a relative path, with something odd in it."""
    folder = module_project.folder
    write_pets(folder / "pets", 0)
    Image.new("RGBA", (12, 12), (9, 9, 9, 99)).save(folder / "pets" / "cat" / "clear.png")
    (folder / "pets" / "cat" / "*notes*.txt").write_text("no image")
    done = module_project.run("train", "data=folder", "data.path=pets", *SHORT)
    assert (done.returncode, done.stderr) == (0, "")
    return module_project, done.stdout


def test_the_block_says_what_is_trained_on(trained):
    project, printed = trained
    assert printed.splitlines()[:6] == [
        f"data: folder {project.folder}/pets, 2 classes, 18 train, 2 validation, 5 test",
        "  images: 12 x 12 pixels (height x width), resized to 32 x 32, colour",
        "  class cat: 9 train, 1 validation, 3 test",
        "  class dog: 9 train, 1 validation, 2 test",
        "  left out: files that are no image: 1, such as cat/*notes*.txt",
        "  converted: transparent, laid over the background: 1, such as cat/clear.png",
    ]


def test_the_same_is_in_the_record_and_in_the_note(trained):
    project, _ = trained
    (run,) = project.runs()
    path = project.client().download_artifacts(run.info.run_id, "record/record.json")
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the path is a text
        summary = json.load(file)["data_summary"]
    assert summary["source"] == f"folder {project.folder}/pets"
    assert summary["classes"] == {"cat": [9, 1, 3], "dog": [9, 1, 2]}
    assert summary["left_out"] == {"files that are no image": [1, "cat/*notes*.txt"]}
    assert summary["converted"] == {"transparent, laid over the background": [1, "cat/clear.png"]}
    note = run.data.tags["mlflow.note.content"]
    assert "| cat | 9 | 1 | 3 |" in note
    assert r"- left out: files that are no image: 1, such as cat/\*notes\*.txt" in note


def test_a_relative_path_is_recorded_as_an_absolute_one(trained):
    project, _ = trained
    (run,) = project.runs()
    assert run.data.params["data.path"] == f"{project.folder}/pets"


def test_other_images_in_the_place_of_the_trained_ones_stay_untested(trained):
    project, _ = trained
    (run,) = project.runs()
    moved = (project.folder / "pets" / "dog").rename(project.folder / "dogs")
    write_pets(project.folder / "others", 1)
    (project.folder / "others" / "dog").rename(project.folder / "pets" / "dog")
    done = project.run("evaluate", run.info.run_id)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "not those that the run was trained on, and its test split stays closed" in done.stderr
    assert "test_accuracy" not in project.runs()[0].data.metrics
    (project.folder / "pets" / "dog").rename(project.folder / "other dogs")
    moved.rename(project.folder / "pets" / "dog")


def test_an_evaluation_from_another_folder_tests_on_the_same_images(trained):
    project, _ = trained
    (run,) = project.runs()
    write_pets(project.folder / "elsewhere" / "pets", 2, n=40)
    cache = project.folder / "mlruns" / "data"
    report = load("train", cache=cache, path=project.folder / "pets").origin.report
    image = project.folder / "pets" / report.test_names[0]
    content = image.read_bytes()
    Image.new("RGB", (12, 12), "red").save(image)
    done = run_in(project, project.folder / "elsewhere", "evaluate", run.info.run_id, "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "the test images or labels are not those that there were when the run was trained" in done.stderr
    assert "test_accuracy" not in project.runs()[0].data.metrics
    image.write_bytes(content)
    done = run_in(project, project.folder / "elsewhere", "evaluate", run.info.run_id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["n"] == 5


def test_what_cannot_be_trained_on_is_refused_in_one_line_before_anything_is_recorded(project):
    pets = project.folder / "pets"
    write_pets(pets, 3)
    (pets / "cat" / "notes.txt").write_text("no image")
    (pets / "cat" / "3.png").write_bytes(b"")
    (pets / "dog" / "4.png").write_bytes(b"")
    told = {
        (): "pets/cat/3.png: expected an image; it is empty; dog/4.png: expected an image; it is empty",
        ("data.broken=skip", "data.strict=true"): "data.strict: expected images to be used as they are; left",
        ("data.broken=skip", "data.validation_split=tail"): "data.validation_split=stratified draws from",
        ("data.background=nothing",): "data.background: value error, expected an opaque colour such as white",
        ("data.path='~nosuchuser/x'",): "data.path: expected the home of a user of this machine",
    }
    commands = [("train", "data=folder", "data.path=pets", *SHORT, *extra) for extra in told]
    for (code, out, err), text in zip(project.run_many(*commands), told.values(), strict=True):
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert text in err
    assert project.runs() == []


def test_several_folders_are_each_summed_up_once_and_meant_from_the_folder_of_the_command(project):
    folder = project.folder / "pictures"
    write_pets(folder / "pets", 0)
    write_pets(folder / "others", 1, n=10)
    done = run_in(project, folder, "train", "--multirun", "data=folder", "data.path=pets,others", *SHORT)
    assert (done.returncode, done.stderr) == (0, "")
    for name, counts in (
        ("pets", "17 train, 2 validation, 5 test"),
        ("others", "14 train, 2 validation, 4 test"),
    ):
        [line] = [
            line for line in done.stdout.splitlines() if line.startswith(f"data: folder {folder}/{name}")
        ]
        assert line.endswith(counts)
    assert done.stdout.count("  images: 12 x 12 pixels") == 2
    paths = {run.data.params["data.path"] for run in project.runs() if "data.path" in run.data.params}
    assert paths >= {f"{folder}/pets", f"{folder}/others"}
