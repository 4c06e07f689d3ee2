"""A confirmed sweep in MLflow: its runs, the registered winner, and `runback promote`."""

import json
import signal
import time
from pathlib import Path

import pytest

TINY = """# @package _global_
# A sweep for tests.
#   runback sweep tiny
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: grid
model:
  widths: [4, 4]
  dense_width: 8
training:
  epochs: 1
data:
  limit: 100
hydra:
  sweeper:
    n_workers: 2
    confirm: {top: 2, seeds: 3}
    params:
      optimizer.learning_rate: choice(0.00001, 0.01)
"""

LUCKY = TINY.replace("optimizer.learning_rate: choice(0.00001, 0.01)", "seed: choice(1, 2)").replace(
    "seeds: 3", "seeds: 2"
)


@pytest.fixture(scope="module")
def swept(module_project):
    """Run a sweep with a confirm stage; return the project, and what commands about it have printed."""
    module_project.own_sweeps(tiny=TINY)
    told = module_project.run_many(
        ["sweep", "tiny"], ["sweep", "tiny"], ["best", "tiny"], ["compare", "--sweep", "tiny", "--json"]
    )
    assert [(code, err) for code, _, err in told] == [(0, "")] * 4, told
    return module_project, [out for _, out, _ in told]


def runs(project, kind, sweep="tiny"):
    wanted = {"runback.kind": kind, "runback.sweep": sweep}
    return [run for run in project.runs() if wanted.items() <= run.data.tags.items()]


def champion(project, sweep="tiny"):
    return project.client().get_model_version_by_alias(f"runback-{sweep}", "champion")


def test_confirming_trainings_are_child_runs_of_their_own_kind(swept):
    project, _ = swept
    [parent] = runs(project, "sweep")
    confirming = runs(project, "confirm")
    assert len(runs(project, "train")) == 2
    assert len(confirming) == 6
    for run in confirming:
        tags = run.data.tags
        assert run.info.status == "FINISHED"
        assert run.data.params["seed"] == tags["runback.confirm_seed"]
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.run_name == f"trial {tags['runback.confirms']} seed {tags['runback.confirm_seed']}"
        assert "runback.trial" not in tags
    assert {run.data.tags["runback.confirms"] for run in confirming} == {"0", "1"}
    assert len({run.data.params["seed"] for run in confirming}) == 3


def test_the_search_is_not_mixed_up_with_what_confirms_it(swept):
    project, [_, _, best, compared] = swept
    assert best.strip() in [run.info.run_id for run in runs(project, "train")]
    assert len(json.loads(compared)["runs"]) == 2


def test_the_sweeps_run_has_the_results(swept):
    project, [out, *_] = swept
    [parent] = runs(project, "sweep")
    client, run_id = project.client(), parent.info.run_id
    found = {file.path for file in client.list_artifacts(run_id)}
    assert {"confirm.json", "confirm.csv", "confirm.md"} <= found
    facts = json.loads(Path(client.download_artifacts(run_id, "confirm.json")).read_text())
    best = facts["finalists"][0]
    assert parent.data.metrics["confirm.mean"] == best["mean"]
    assert parent.data.tags["runback.winner"] == str(best["trial"])
    assert parent.data.tags["runback.verdict"] == facts["verdict"]
    assert facts["verdict"] in out
    by_id = {run.info.run_id: run for run in runs(project, "confirm")}
    for one in facts["finalists"]:
        for run, value in zip(one["runs"], one["values"], strict=True):
            assert by_id[run].data.metrics["val_accuracy"] == value


def test_the_winners_median_run_is_the_registered_champion(swept):
    project, [out, *_] = swept
    version = champion(project)
    [parent] = runs(project, "sweep")
    winner = parent.data.tags["runback.winner"]
    own = [run for run in runs(project, "confirm") if run.data.tags["runback.confirms"] == winner]
    own.sort(key=lambda run: run.data.metrics["val_accuracy"])
    value = project.client().get_run(version.run_id).data.metrics["val_accuracy"]
    assert value == own[1].data.metrics["val_accuracy"]
    assert version.tags["runback.confirms"] == winner
    assert "95 % interval" in version.description
    assert all(run.data.params["seed"] in version.description for run in own)
    assert f"Registered as runback-tiny version 1 (trial {winner}, run {version.run_id}), the champion" in out


def test_a_confirmed_sweep_has_nothing_left_to_do(swept):
    project, [_, again, _, _] = swept
    assert "sweep tiny is finished: 2 of 2 trials" in again
    assert "confirmed on 3 fresh seeds" in again
    assert len(project.runs()) == 1 + 2 + 6
    assert len(project.client().search_model_versions("name = 'runback-tiny'")) == 1


PROMOTE = """
import contextlib, io, json, sys
from runback.__main__ import main

told = []
for arguments in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["promote", *arguments])
    told.append((code, out.getvalue(), err.getvalue()))
assert not {"tensorflow", "keras", "hydra", "optuna"} & set(sys.modules)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def promoted(swept):
    """Promote runs, and try what cannot be promoted; return what that printed, and both runs."""
    project, [_, _, best, _] = swept
    first, other = champion(project).run_id, best.strip()
    [parent] = runs(project, "sweep")
    asked = {
        "by hand": [other[:8]],
        "again": [other],
        "back": [first, "--json"],
        "unknown": ["0123456"],
        "unknown sweep": ["best:tini"],
        "a sweep": [parent.info.run_id],
        "a single run": [made(project, {"runback.kind": "train"})],
        "no model": [made(project, {"runback.kind": "train", "runback.sweep": "tiny"})],
        "a file": ["one.zip"],
        "nothing": [],
    }
    done = project.fresh_python("-c", PROMOTE, given=json.dumps(list(asked.values())))
    assert done.returncode == 0, done.stderr
    return dict(zip(asked, json.loads(done.stdout.splitlines()[-1]), strict=True)), first, other


def made(project, tags) -> str:
    """Make a run without a model."""
    client = project.client()
    return client.create_run(client.search_experiments()[0].experiment_id, tags=tags).info.run_id


def test_a_run_is_promoted_by_hand_and_back(swept, promoted):
    told, first, other = promoted
    now = f"runback-tiny version 2 (run {other}) is the champion"
    alone = f"not compared with the champion: run {other} was not evaluated\n"
    assert told["by hand"] == [0, f"{now} now; before: 1\n", alone]
    assert told["again"] == [0, f"{now} already\n", ""]
    facts = {"name": "runback-tiny", "version": "1", "run_id": first, "before": "2"}
    assert json.loads(told["back"][1]) == facts
    assert champion(swept[0]).run_id == first


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("unknown", "no run '0123456'"),
        ("unknown sweep", "unknown sweep 'tini': did you mean 'tiny'?"),
        ("a sweep", "is a whole sweep: name one of its runs, or best:SWEEP"),
        ("a single run", "belongs to no sweep, whose name its model would be registered under"),
        ("no model", "which is RUNNING, has no model to register"),
        ("a file", "one.zip is a file"),
        ("nothing", "the following arguments are required: RUN"),
    ],
)
def test_what_cannot_be_promoted_is_refused_in_one_line(promoted, name, wanted):
    code, out, err = promoted[0][name]
    assert (code, out) == (2, "")
    [line] = err.splitlines()
    assert wanted in line


@pytest.mark.slow
def test_where_trials_differ_only_in_their_seed_it_says_so(project):
    project.own_sweeps(lucky=LUCKY)
    for repetition in range(5):
        done = project.run(
            "sweep", "lucky", f"hydra.sweeper.name=lucky{repetition}", f"hydra.sweeper.seed={repetition}"
        )
        assert done.returncode == 0, done.stderr
        assert (
            "differ only in their seed: they are one configuration, and none of them is better" in done.stdout
        )
        assert len(runs(project, "confirm", f"lucky{repetition}")) == 2


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_confirm_stage_goes_on_where_it_was(project, signum):
    project.own_sweeps(tiny=TINY)
    command = ("sweep", "tiny", "training.epochs=30", "training.checkpoint.every=1")
    process = project.start(*command)
    stage = project.folder / "mlruns" / "sweeps" / "tiny" / "confirm"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and len(list(stage.glob("*/outcome.json"))) < 2:
        time.sleep(0.05)
    while time.monotonic() < deadline and not any(
        (folder / "metrics.jsonl").exists() and not (folder / "outcome.json").exists()
        for folder in stage.iterdir()
    ):
        time.sleep(0.05)
    if signum == signal.SIGKILL:
        process.kill()
    else:
        project.interrupt(process)
    process.communicate(timeout=300)
    assert process.returncode == (130 if signum == signal.SIGINT else -signal.SIGKILL)
    before = {run.info.run_id: run.info.status for run in runs(project, "confirm")}
    assert len(runs(project, "train")) == 2
    if signum == signal.SIGINT:
        assert "RUNNING" not in {run.info.status for run in project.runs()}
    done = project.run(*command)
    assert done.returncode == 0, done.stderr
    assert "confirmed on 3 fresh seeds" in done.stdout
    found = runs(project, "confirm")
    assert before.keys() <= {run.info.run_id for run in found}
    # One that was stopped before its first checkpoint begins again, in another run.
    again = {run.data.tags.get("runback.retry_of") for run in found}
    after = [run for run in found if run.info.run_id not in again]
    assert {run.info.status for run in after} == {"FINISHED"}
    assert len({(run.data.tags["runback.confirms"], run.data.params["seed"]) for run in after}) == 6
    assert len(after) == 6
    assert any("runback.resumed" in run.data.tags for run in after) or len(found) > 6
    assert len(runs(project, "train")) == 2
    [parent] = runs(project, "sweep")
    assert parent.info.status == "FINISHED"
