"""Every command on the runs of a task, which is not the classifier's."""

import json
import subprocess

import pytest
from mlflow import MlflowClient

from runback.tracking.sqlite.sqlite_file import sqlite_uri

TASK = """
import numpy as np
from sklearn.linear_model import SGDClassifier

import runback


@runback.task
def fit(run: runback.Run, *, alpha: float = 1e-4, epochs: int = 2, keep: bool = True) -> float:
    rng = np.random.default_rng(run.seed)
    x = rng.normal(size=(100, 4))
    x, y = run.data((x, (x[:, 0] > 0).astype(int)), name="train")
    model = SGDClassifier(alpha=alpha, random_state=run.seed)
    for epoch in run.epochs(epochs):
        order = np.random.permutation(100)
        model.partial_fit(x[order], y[order] ^ (rng.random(100) < 0.2), classes=[0, 1])
        run.log(err=1 - model.score(x, y))
        run.checkpoint({"coef": model.coef_})
    run.result(weights={"coef": model.coef_})
    if keep:
        run.log_model(model)
    return run.best("err")


if __name__ == "__main__":
    fit.main()
"""

LOAD = """
import runback
sweep = runback.load("fit")
print(sorted(sweep.trials.columns))
print(len(sweep.trials), len(sweep.curves), sweep.trials["best_err"].notna().all())
"""


def in_git(folder):
    (folder / ".gitignore").write_text("mlruns/\n*.zip\n")
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], cwd=folder, check=True)


def test_each_command_works_on_a_tasks_runs_or_says_why_not(own_folder, tmp_path):
    (own_folder.folder / "fit.py").write_text(TASK)
    in_git(own_folder.folder)
    runback = own_folder.runback
    space = ["alpha=tag(log,interval(1e-6,1))", "hydra.sweeper.n_trials=3"]
    swept = runback("sweep", "fit.py", *space, "hydra.sweeper.confirm={top: 2, seeds: 2}")
    assert swept.returncode == 0, swept.stderr
    assert "evaluate" not in swept.stdout
    assert "reproduce" in swept.stdout
    sweep_folder = own_folder.folder / "mlruns" / "sweeps" / "fit"
    assert json.loads((sweep_folder / "confirm" / "confirm.json").read_text())["seed_key"] == "run.seed"
    [parent] = [run for run in own_folder.runs() if run.data.tags.get("runback.kind") == "sweep"]
    note = parent.data.tags["mlflow.note.content"]
    assert "runback train fit.py:fit --multirun" in note
    assert "runback train fit.py:fit alpha=" in note
    assert "evaluate" not in note
    assert "--config" not in note

    compared, named = own_folder.runback_many(("compare", "--sweep", "fit", "--json"), ("best", "fit"))
    table = json.loads(compared[1])
    errors = [run["best_err"] for run in table["runs"]]
    assert (table["sorted_by"], errors) == ("best_err", sorted(errors))
    best = named[1].strip()
    assert best == table["runs"][0]["run"]
    other = table["runs"][1]["run"]
    bundle = tmp_path / "run.zip"
    compared, exported, verified = own_folder.runback_many(
        ("compare", best, other), ("export", best, str(bundle)), ("verify", str(bundle))
    )
    assert "config" in compared[1]
    assert exported[0] == 0, exported[2]
    assert verified[1].startswith("intact: ")
    asked = runback("reproduce", str(bundle), "--in-place")
    assert (asked.returncode, "calls fit of fit.py" in asked.stdout) == (2, True)
    agreed = runback("reproduce", str(bundle), "--in-place", "--yes")
    assert agreed.stdout.endswith("bit-identical\n"), agreed.stderr
    (own_folder.folder / "fit.py").write_text(TASK.replace("0.2", "0.4"))
    elsewhere = runback("reproduce", best)
    assert "training in a checkout of commit" in elsewhere.stdout
    assert elsewhere.stdout.endswith("bit-identical\n"), elsewhere.stderr
    (own_folder.folder / "fit.py").write_text(TASK)

    promoted = runback("promote", best)
    assert "is the champion now" in promoted.stdout, promoted.stderr
    client = MlflowClient(sqlite_uri(own_folder.folder / "mlruns" / "mlflow.db"))
    assert client.get_model_version_by_alias("runback-fit", "champion").run_id == best
    without = runback("sweep", "fit.py", "alpha=0.1,0.2", "keep=false", "hydra.sweeper.name=bare")
    assert without.returncode == 0, without.stderr
    verbs = ("evaluate", "serve")
    refused, *others = own_folder.runback_many(("promote", "best:bare"), *((verb, best) for verb in verbs))
    assert (refused[0], refused[2].count("\n")) == (2, 1)
    assert "has no model to register" in refused[2]
    for verb, (code, _, error) in zip(verbs, others, strict=True):
        assert (code, error.count("\n")) == (2, 1), error
        assert f"runback {verb} belongs to the classifier; run {best} is of 'fit'" in error
    loaded = own_folder.python("-c", LOAD)
    assert loaded.stdout.splitlines()[-1] == "3 6 True", loaded.stderr
    cleaned, synced, checked = own_folder.runback_many(("clean",), ("sync",), ("doctor", "--json"))
    assert (cleaned[0], synced[1]) == (0, "nothing waits\n")
    doctor = json.loads(checked[1])
    assert next(one for one in doctor["checks"] if one["check"] == "runs")["state"] == "ok"


@pytest.mark.parametrize(
    "task",
    [
        {"script": "/etc/passwd", "name": "x"},
        {"script": "../x.py", "name": "x"},
        {"script": "/etc/passwd", "module": "runback.classifier.training_task", "name": "train"},
        {"script": "mlruns/artifacts/x.py", "name": "x"},
        {"module": "antigravity", "name": "x"},
    ],
)
def test_a_task_of_somebody_elses_run_lies_in_the_project(task, tmp_path):
    from runback.errors import InputError
    from runback.runs.tasks.task_source import refuse_outside

    (tmp_path / "mine.py").write_text("")
    with pytest.raises(InputError):
        refuse_outside(task, tmp_path, "0" * 32)
    refuse_outside({"module": "mine"}, tmp_path, "0" * 32)
    refuse_outside({"script": "mine.py"}, tmp_path, "0" * 32)
