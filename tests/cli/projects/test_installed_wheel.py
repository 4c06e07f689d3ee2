"""The wheel alone, in an empty folder: projects are made, scripts swept, killed, resumed and reproduced."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runback.tracking.sqlite.sqlite_file import sqlite_uri

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).parents[3]

LOOP = """
import sys
import time
from typing import Annotated

import numpy as np
from annotated_types import Interval

import runback
from distance import squared


@runback.task
def fit(
    run: runback.Run,
    *,
    learning_rate: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    batch_size: int = 16,
    epochs: int = 6,
    wait: float = 0.0,
) -> float:
    rng = np.random.default_rng(run.seed)
    x = rng.normal(size=(64, 3))
    x, y = run.data((x, x @ np.array([1.0, -2.0, 0.5])))
    w = np.zeros(3)
    if run.state:
        w, rng = run.state["w"], run.state["rng"]
    for epoch in run.epochs(epochs):
        batch = rng.permutation(64)[:batch_size]
        w = w - learning_rate * x[batch].T @ (x[batch] @ w - y[batch]) / batch_size
        time.sleep(wait)
        run.log(loss=squared(x @ w - y))
        run.checkpoint({"w": w, "rng": rng})
    run.result(weights=w, predictions=x @ w)
    return run.best("loss")


if __name__ == "__main__":
    fit.main()
"""

DISTANCE = "import numpy as np\n\n\ndef squared(x):\n    return np.mean(x**2)\n"


def runs(folder):
    client = MlflowClient(sqlite_uri(folder / "mlruns" / "mlflow.db"))
    return list(client.search_runs([one.experiment_id for one in client.search_experiments()]))


def fine(done):
    """Return what a command printed, which has done what was asked for."""
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_wheel_holds_every_file_of_conf_and_sweeps_and_no_second_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    files = [*ROOT.glob("conf/**/*.yaml"), *ROOT.glob("sweeps/*.yaml")]
    assert {f"runback/classifier/{file.relative_to(ROOT).as_posix()}" for file in files} <= set(names)
    assert {name.split("/")[0] for name in names} == {
        *("runback", "hydra_plugins"),
        next(name.split("/")[0] for name in names if ".dist-info" in name),
    }
    assert "runback/cli/projects/templates/any/Makefile.in" in names


def test_the_environment_does_not_see_this_checkout(installed):
    code = "import sys, runback, hydra_plugins.runback_sweeper as p; print(runback, p.__file__, sys.path)"
    printed = fine(installed.run("python", "-c", code))
    assert str(ROOT / "src") not in printed
    assert printed.count(f"{installed.environment}/lib") >= 3


def test_the_classifier_trains_and_sweeps_in_an_empty_folder(installed):
    printed = fine(installed.runback("train", "data=synthetic", "training.epochs=1", "model.widths=[4,4]"))
    assert "val_accuracy" in printed
    small = ["hydra.sweeper.n_trials=1", "training.epochs=1", "data.limit=100", "model.dense_width=8"]
    assert "best run" in fine(installed.runback("sweep", "quickstart", *small))
    assert len(runs(installed.folder)) == 3
    assert sorted(path.name for path in installed.folder.iterdir()) == ["mlruns"]


def test_what_is_not_there_is_one_line_with_what_there_is(installed):
    asked = {
        ("sweep", "nope"): "unknown sweep 'nope': expected one of cifar10, cifar10_cpu, quickstart",
        ("sweep", "quikstart"): "unknown sweep 'quikstart': did you mean 'quickstart'?",
        ("train", "model=deep_cn"): "unknown model 'deep_cn': did you mean 'deep_cnn'?",
        ("train", "model=zzz"): "unknown model 'zzz': expected one of backbone, deep_cnn, resnet20",
        ("train", "model=../x"): "model must be a choice of the group model (backbone, deep_cnn, resnet20, ",
        ("train", "optimiser=sgd"): "unknown key 'optimiser'; did you mean 'optimizer'?",
        ("train", "+sweeps=quikstart"): "unknown sweeps 'quikstart': did you mean 'quickstart'?",
        ("best", "quickstart"): "unknown sweep 'quickstart': there are no sweeps yet",
        ("init", "--eject", "model"): "there is no project here",
    }
    for arguments, message in asked.items():
        done = installed.runback(*arguments)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (arguments, done.stderr)
        assert message in done.stderr
    assert list(installed.folder.iterdir()) == []


def test_own_files_come_before_the_packages(installed):
    conf, sweeps = installed.folder / "conf", installed.folder / "sweeps"
    (conf / "model").mkdir(parents=True)
    sweeps.mkdir()
    target = "_target_: runback.classifier.models.shallow_cnn.shallow_cnn\n"
    values = "conv_dropout: 0.1\ndense_dropout: 0.2\nwidths: [4, 4]\ndense_width: {}\n"
    (conf / "model" / "mine.yaml").write_text(target + values.format(11))
    (conf / "model" / "deep_cnn.yaml").write_text(target + values.format(22))
    (sweeps / "quickstart.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: mine\n  - override /data: synthetic\n"
        "hydra:\n  sweeper:\n    n_trials: 2\n    params:\n      seed: choice(1, 2)\n"
    )
    for choice, width in (("mine", "11"), ("deep_cnn", "22"), ("shallow_cnn", "512")):
        printed = fine(installed.runback("train", f"model={choice}", "--cfg", "job"))
        assert f"dense_width: {width}\n" in printed
    unknown = installed.runback("train", "model=zzz").stderr
    assert "expected one of backbone, deep_cnn, mine, resnet20, shallow_cnn" in unknown
    fine(installed.runback("sweep", "quickstart", "training.epochs=1"))
    assert [run.data.params.get("model.dense_width") for run in runs(installed.folder)].count("11") == 2
    assert "did you mean 'cifar10'" in installed.runback("sweep", "cifar1").stderr


def test_a_project_of_the_classifier_runs_at_once(installed):
    printed = fine(installed.runback("init", "my digits"))
    assert printed.startswith("made my digits, a project around the image classifier\n")
    project = installed.at(installed.folder / "my digits")
    assert sorted(path.name for path in project.folder.iterdir()) == [
        *(".gitignore", "Makefile", "README.md", "pyproject.toml", "sweeps", "tests"),
    ]
    assert "best run" in fine(
        project.make("sweep", "ARGS=hydra.sweeper.n_trials=1 training.epochs=1 data.limit=100")
    )
    assert re.fullmatch(r"[0-9a-f]{32}\n", fine(project.make("best")))
    assert "OK" in project.make("test").stderr
    assert len(runs(project.folder)) == 2
    below = project.folder / "conf" / "deep"
    below.mkdir(parents=True)
    fine(installed.at(below).runback("init", "--eject", "optimizer"))
    ejected = project.folder / "conf" / "optimizer"
    assert {file.name for file in ejected.iterdir()} == {f.name for f in (ROOT / "conf/optimizer").iterdir()}
    (ejected / "adam.yaml").write_text("_target_: keras.optimizers.Adam\nlearning_rate: 0.125\n")
    assert "learning_rate: 0.125" in fine(project.runback("train", "--cfg", "job"))
    again = project.runback("init", "--eject", "optimizer")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "conf/optimizer/adam.yaml exists already" in again.stderr


def test_an_own_script_goes_all_the_way(installed):
    (installed.folder / "fit.py").write_text(LOOP)
    (installed.folder / "distance.py").write_text(DISTANCE)
    printed = fine(installed.runback("init", "loop", "--script", "fit.py"))
    assert "a project around fit.py: a copy" in printed
    assert "what lies beside it: distance.py" in printed
    assert "searches learning_rate: tag(log, interval(0.01, 1.0)), its declared range" in printed
    assert "leaves as they are: epochs, wait" in printed
    project = installed.at(installed.folder / "loop")

    assert "best run" in fine(project.make("sweep"))
    sweep, *trials = sorted(runs(project.folder), key=lambda run: run.info.start_time)
    go_on = re.search(
        r"^runback train fit.py:fit (.*)$", sweep.data.tags["mlflow.note.content"], re.MULTILINE
    )
    assert "--multirun" in go_on[1]
    assert "+sweeps=quickstart" in go_on[1]
    assert len(trials) == 16
    assert {trial.info.status for trial in trials} == {"FINISHED", "KILLED"}
    assert "finished" in fine(project.make("sweep"))
    assert "OK" in project.make("test").stderr
    assert len(runs(project.folder)) == 17

    fine(project.make("train", "ARGS=learning_rate=0.3"))
    project.killed("epoch 3", "python", "fit.py", "learning_rate=0.2", "wait=0.3")
    killed = max(runs(project.folder), key=lambda run: run.info.start_time)
    assert killed.info.status == "RUNNING"
    resumed = fine(project.runback("train", f"resume={killed.info.run_id}"))
    assert re.search(r"going on from epoch [1-9]", resumed)

    best = fine(project.make("best")).strip()
    assert "learning_rate" in fine(project.runback("compare", best, killed.info.run_id))
    assert "quickstart" in fine(project.make("compare")) or best[:6] in fine(project.make("compare"))
    fine(project.runback("export", killed.info.run_id, "run.zip"))
    assert fine(project.runback("verify", "run.zip")).startswith("intact")
    for run in (best, killed.info.run_id):
        again = json.loads(fine(project.runback("reproduce", run, "--in-place", "--json")))
        assert again["verdict"] == "bit-identical"
    assert "bit-identical" in fine(project.make("reproduce", "RUN=best:quickstart", "ARGS=--in-place"))


def test_a_script_that_is_not_there_is_written_and_is_swept(installed):
    printed = fine(installed.runback("init", "rows", "--script", "rows.py"))
    assert "written as an example, because it was not there" in printed
    project = installed.at(installed.folder / "rows")
    assert not (installed.folder / "rows.py").exists()
    fine(project.make("sweep", "ARGS=hydra.sweeper.n_trials=3"))
    assert "OK" in project.make("test").stderr
    [trained] = [line for line in fine(project.make("train")).splitlines() if line.startswith("run ")]
    again = json.loads(fine(project.runback("reproduce", trained.split()[1], "--in-place", "--json")))
    assert again["verdict"] == "bit-identical"


def test_a_projects_commit_is_reproduced_in_a_checkout_of_its_own(installed):
    """Without a lock file the checkout is trained with the packages that are here."""
    fine(installed.runback("init", "rows", "--script", "rows.py"))
    project = installed.at(installed.folder / "rows")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Begin"]):
        fine(project.run(*git, *words))
    [trained] = [line for line in fine(project.make("train")).splitlines() if line.startswith("run ")]
    script = project.folder / "rows.py"
    script.write_text(script.read_text().replace("images / 16", "images / 17"))
    printed = fine(project.runback("reproduce", trained.split()[1]))
    assert "training in a checkout of commit" in printed
    assert printed.endswith("bit-identical\n")
