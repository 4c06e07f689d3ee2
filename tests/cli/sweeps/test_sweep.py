"""`runback sweep` on a real project folder: real forkserver, real training, real stores."""

import importlib.util
import io
import itertools
import json
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from runback.sweeping.reporting.follow_up_commands import arguments_of

TINY = (
    "data=synthetic",
    "model.dense_width=8",
    "model.widths=[4,4]",
)

TINY_SWEEP = """# @package _global_
# A sweep for tests.
#   runback sweep tiny
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: random
  - override /hydra/sweeper/pruner: asha
model:
  widths: [8, 8]
  dense_width: 16
hydra:
  sweeper:
    n_trials: 8
    n_workers: 2
    params:
      training.epochs: int(interval(3, 6))
      optimizer: choice(sgd, adam)
      optimizer.learning_rate: choice(0.00001, 0.01)
"""


@pytest.fixture(scope="module")
def swept(module_project):
    """Sweep once; many claims are about what that left behind."""
    module_project.own_sweeps(tiny=TINY_SWEEP)
    done = module_project.run("sweep", "tiny")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return module_project, done.stdout


def parent_and_children(project):
    runs = project.runs()
    [parent] = [run for run in runs if run.data.tags["runback.kind"] == "sweep"]
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == len(runs) - 1
    return parent, children


def artifact(project, run, name):
    """Return an artifact's text."""
    return Path(project.client().download_artifacts(run.info.run_id, name)).read_text()


def test_a_sweep_says_once_what_is_trained_on(swept):
    _, printed = swept
    lines = printed.splitlines()
    first = lines.index("data: synthetic, 4 classes, 460 train, 52 validation, 128 test")
    assert lines[first + 1] == "  images: 8 x 8 pixels, grey"
    assert printed.count("data: ") == 1


def test_every_trial_is_a_child_run_with_curves(swept):
    project, _ = swept
    parent, children = parent_and_children(project)
    assert parent.info.status == "FINISHED"
    assert sorted(int(run.data.tags["runback.trial"]) for run in children) == list(range(8))
    for run in children:
        assert project.client().get_metric_history(run.info.run_id, "val_accuracy")
        assert run.data.tags["runback.sweep"] == "tiny"


def test_pruned_trials_are_killed_and_keep_their_curve(swept):
    project, _ = swept
    _, children = parent_and_children(project)
    states = {run.info.status for run in children}
    assert states == {"FINISHED", "KILLED"}
    for run in children:
        if run.info.status == "KILLED":
            steps = [p.step for p in project.client().get_metric_history(run.info.run_id, "val_accuracy")]
            assert run.data.tags["runback.reason"] == f"pruned after epoch {steps[-1]}"


def test_two_trials_run_at_once_and_a_slot_does_not_wait(swept):
    project, _ = swept
    _, children = parent_and_children(project)
    spans = sorted((run.info.start_time, run.info.end_time) for run in children)
    overlaps = [later[0] < earlier[1] for earlier, later in itertools.pairwise(spans)]
    assert sum(overlaps) >= len(spans) // 2


def test_the_sweep_ends_with_the_best_run_and_what_to_do_next(swept):
    project, printed = swept
    best = project.run("best", "tiny")
    assert best.returncode == 0
    run_id = best.stdout.strip()
    assert f"best run {run_id}" in printed
    assert f" evaluate {run_id}" in printed
    assert "8 of 8" not in printed
    assert printed.count("trial ") >= 8
    _, children = parent_and_children(project)
    finished = [run for run in children if run.info.status == "FINISHED"]
    top = max(finished, key=lambda run: run.data.metrics["val_accuracy"])
    assert project.client().get_run(run_id).data.metrics["val_accuracy"] == top.data.metrics["val_accuracy"]


def test_best_can_tell_more_as_json(swept):
    project, _ = swept
    facts = json.loads(project.run("best", "tiny", "--json").stdout)
    assert set(facts) == {"run_id", "trial", "values", "params"}


def test_the_parent_run_reports_on_the_trials(swept):
    project, _ = swept
    parent, children = parent_and_children(project)
    note = parent.data.tags["mlflow.note.content"]
    assert note.startswith("**8 of 8 trials**")
    best = project.run("best", "tiny").stdout.strip()
    assert f"#/experiments/{parent.info.experiment_id}/runs/{best})" in note
    assert "runback sweep tiny hydra.sweeper.n_trials=16" in note
    table = pd.read_csv(io.StringIO(artifact(project, parent, "trials.csv")))
    assert set(table["run_id"]) == {run.info.run_id for run in children}
    assert "val_accuracy" in table.columns
    assert "Parallel coordinates" in artifact(project, parent, "report.html")
    plots = {file.path for file in project.client().list_artifacts(parent.info.run_id, "plots")}
    assert {"plots/history.png", "plots/intermediate_values.png", "plots/timeline.png"} <= plots


def test_the_best_config_trains_the_best_trial_again(swept):
    project, _ = swept
    parent, children = parent_and_children(project)
    [command] = re.findall(r"^runback (train --config .*)$", parent.data.tags["mlflow.note.content"], re.M)
    done = project.run(*shlex.split(command), "--cfg", "job", "--resolve")
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load(done.stdout)
    best = project.run("best", "tiny").stdout.strip()
    [run] = [run for run in children if run.info.run_id == best]
    recorded = yaml.safe_load(artifact(project, run, "config.yaml"))
    for part in ("training", "run"):
        recorded[part]["threads"] = config[part]["threads"]  # a trial's share of the cores
    assert config == recorded


def test_the_printed_command_runs_the_best_trial_back(swept):
    project, printed = swept
    [line] = [line for line in printed.splitlines() if "run it back" in line]
    _runback, *arguments = shlex.split(line.split("prove it", 1)[1])
    done = project.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "bit-identical"


def test_a_finished_sweep_says_so_and_starts_nothing(swept):
    project, _ = swept
    before = len(project.runs())
    done = project.run("sweep", "tiny")
    assert done.returncode == 0
    assert "sweep tiny is finished: 8 of 8 trials" in done.stdout
    assert len(project.runs()) == before


def test_a_sweep_is_continued_under_the_same_parent(swept):
    project, _ = swept
    parent = next(run for run in project.runs() if run.data.tags["runback.kind"] == "sweep")
    before = len(project.runs())
    done = project.run("sweep", "tiny", "hydra.sweeper.n_trials=10")
    assert done.returncode == 0, done.stderr
    new = project.runs()[before:]
    assert [run.data.tags["mlflow.parentRunId"] for run in new] == [parent.info.run_id] * 2
    assert sorted(int(run.data.tags["runback.trial"]) for run in new) == [8, 9]


def test_another_search_space_is_not_mixed_into_a_sweep(swept):
    project, _ = swept
    done = project.run("sweep", "tiny", "hydra.sweeper.n_trials=99", "optimizer=choice(sgd,rmsprop)")
    assert done.returncode == 2
    assert "optimizer sgd/adam, now sgd/rmsprop" in done.stderr


def test_a_changed_sweep_file_is_not_mixed_into_a_sweep(swept):
    project, _ = swept
    file = project.folder / "sweeps" / "tiny.yaml"
    file.write_text(file.read_text().replace("dense_width: 16", "dense_width: 32"))
    done = project.run("sweep", "tiny", "hydra.sweeper.n_trials=99")
    assert done.returncode == 2
    assert "model.dense_width 16, now 32" in done.stderr


@pytest.mark.slow
def test_a_fresh_study_is_one_beside_the_old_one(swept):
    project, _ = swept
    before = project.study("tiny").trials
    small = ("training.epochs=1", "hydra/sweeper/pruner=none")
    done = project.run("sweep", "tiny", "--new", "hydra.sweeper.n_trials=1", *small)
    assert done.returncode == 0, done.stderr
    assert "sweep tiny-2" in done.stdout
    assert len(project.run("best", "tiny-2").stdout.strip()) == 32
    done = project.run("sweep", "tiny-2", "hydra.sweeper.n_trials=2", *small)
    assert done.returncode == 0, done.stderr
    assert len(project.study("tiny-2").trials) == 2
    assert project.study("tiny").trials == before


@pytest.mark.slow
def test_wider_ranges_go_on_when_told_to(swept):
    project, _ = swept
    project.own_sweeps(wide=TINY_SWEEP.replace("choice(0.00001, 0.01)", "interval(0.001, 0.01)"))
    command = ("sweep", "wide", "training.epochs=1", "hydra/sweeper/pruner=none")
    begun = project.run(*command, "hydra.sweeper.n_trials=1")
    assert begun.returncode == 0, begun.stderr
    wider = (*command, "hydra.sweeper.n_trials=2", "optimizer.learning_rate=interval(0.001,0.1)")
    refused = project.run(*wider)
    assert refused.returncode == 2
    assert (
        "optimizer.learning_rate 0.001 to 0.01, now 0.001 to 0.1; to search what was added: --extend"
        in refused.stderr
    )
    extended = project.run(*wider, "--extend")
    assert extended.returncode == 0, extended.stderr
    assert len(project.study("wide").trials) == 2
    [parent] = [run for run in project.runs() if "runback.extended" in run.data.tags]
    assert "optimizer.learning_rate: 0.001 to 0.1" in parent.data.tags["runback.extended"]


def test_an_ad_hoc_grid_needs_no_file(project):
    done = project.run(
        "train", "--multirun", *TINY, "training.epochs=1",
        "optimizer=sgd,adam", "training.batch_size=choice(32,64)",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, children = parent_and_children(project)
    points = {(run.data.params["optimizer.name"], run.data.params["training.batch_size"]) for run in children}
    assert points == {("sgd", "32"), ("sgd", "64"), ("adam", "32"), ("adam", "64")}
    assert {run.info.status for run in children} == {"FINISHED"}


@pytest.mark.slow
def test_threads_can_be_searched_although_a_process_warms_up_with_its_own(project):
    done = project.run(
        "train", "--multirun", *TINY, "training.epochs=1", "training.threads=choice(1,2)",
        "seed=choice(1,2)", "hydra.sweeper.n_workers=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, children = parent_and_children(project)
    assert sorted(run.data.params["training.threads"] for run in children) == ["1", "1", "2", "2"]
    assert {run.info.status for run in children} == {"FINISHED"}


def test_several_objectives_give_a_pareto_front(project):
    done = project.run(
        "train", "-m", *TINY, "training.epochs=1", "model.dense_width=4,64", "hydra.sweeper.name=two",
        "training.objective=[val_loss,parameters]", "training.direction=[minimize,minimize]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Pareto front" in done.stdout
    assert 1 <= len(project.run("best", "two").stdout.split()) <= 2


def test_ctrl_c_leaves_no_run_running_and_no_process(project):
    project.own_sweeps(tiny=TINY_SWEEP)
    process = project.start("sweep", "tiny", "training.epochs=100000", "hydra/sweeper/pruner=none")
    deadline = time.monotonic() + 600
    while (
        time.monotonic() < deadline
        and len(list(project.folder.glob("mlruns/sweeps/tiny/*/metrics.jsonl"))) < 2
    ):
        time.sleep(0.2)
    project.interrupt(process)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "sweep tiny training.epochs=100000 hydra/sweeper/pruner=none" in err  # how to go on
    parent, children = parent_and_children(project)
    assert {run.info.status for run in [parent, *children]} == {"KILLED"}
    with sqlite3.connect(project.folder / "mlruns" / "sweeps" / "tiny" / "study.db") as database:
        assert database.execute("SELECT count(*) FROM trials WHERE state = 'RUNNING'").fetchone() == (0,)
    assert project.are_gone(process.pid)


@pytest.mark.slow
def test_the_run_of_a_killed_trial_is_closed(project):
    project.own_sweeps(tiny=TINY_SWEEP)
    process = project.start(
        "sweep", "tiny", "hydra.sweeper.n_trials=2", "hydra/sweeper/pruner=none",
        "training.epochs=int(interval(100,120))",  # it must not end before it is killed
        "training.checkpoint.every=0",  # else it would go on in the same run
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if len(list(project.folder.glob("mlruns/sweeps/tiny/*/metrics.jsonl"))) == 2:  # both have a run
            break
    project.trial_processes(process.pid)[0].kill()
    out, err = process.communicate(timeout=1200)
    assert process.returncode == 0, err
    assert "killed by SIGKILL" in out
    _, children = parent_and_children(project)
    statuses = [run.info.status for run in children]
    assert sorted(statuses) == ["FAILED", "FINISHED", "FINISHED"]
    [lost] = [run for run in children if run.info.status == "FAILED"]
    assert lost.data.tags["runback.failure"] == "lost"
    [again] = [run for run in children if "runback.retry_of" in run.data.tags]
    assert again.data.tags["runback.retry_of"] == lost.info.run_id
    assert again.data.tags["runback.trial"] == lost.data.tags["runback.trial"]
    assert again.data.params == lost.data.params


@pytest.mark.slow  # tests/sweeping has the same with trials that train nothing
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_sweep_ends_as_one_that_was_not(tmp_path, make_project, signum):
    in_one_go, in_parts = make_project(tmp_path / "one"), make_project(tmp_path / "parts")
    command = (
        *("sweep", "tiny", "hydra.sweeper.n_trials=3", "hydra/sweeper/pruner=none"),
        *("training.checkpoint.every=1", "training.epochs=int(interval(9,11))"),
    )
    for project in (in_one_go, in_parts):
        project.own_sweeps(tiny=TINY_SWEEP)
    process = in_parts.start(*command)
    curves = in_parts.folder / "mlruns" / "sweeps" / "tiny" / "1" / "metrics.jsonl"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not (curves.exists() and curves.read_text().count("\n") >= 3):
        time.sleep(0.05)
    if signum == signal.SIGKILL:
        process.kill()
    else:
        in_parts.interrupt(process, signum)
    process.communicate(timeout=300)
    continued = in_parts.run(*command)
    assert continued.returncode == 0, continued.stderr
    assert in_one_go.run(*command).returncode == 0
    assert results(in_parts) == results(in_one_go)
    parent, children = parent_and_children(in_parts)
    assert parent.data.tags["mlflow.note.content"].startswith("**3 of 3 trials** · 3 done")
    assert "RUNNING" not in {run.info.status for run in children}
    assert any("runback.resumed" in run.data.tags for run in children)


def results(project):
    """Return each trial's number, params and value: those of the run that ended it."""
    children = [run for run in parent_and_children(project)[1] if run.info.status == "FINISHED"]
    return sorted(
        (run.data.tags["runback.trial"], sorted(run.data.params.items()), run.data.metrics["val_accuracy"])
        for run in children
    )


TEN_LINES = """
import hydra
from runback.sweeping.reporting.follow_up_commands import arguments_of
from runback.sweeping import report

@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    for step in (1, 2, 3):
        report(cfg.x * step, step)
    return cfg.x * 3

app()
"""


def test_any_hydra_app_can_be_swept_and_pruned(tmp_path, project):
    (tmp_path / "app.py").write_text(TEN_LINES)
    (tmp_path / "app.yaml").write_text(
        "defaults:\n  - override hydra/sweeper: runback\n  - override hydra/sweeper/pruner: asha\nx: 0.5\n"
    )
    done = subprocess.run(
        [sys.executable, "app.py", "-m", "x=interval(0,1)", "hydra.sweeper.n_trials=12"],
        cwd=tmp_path, env=project.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert " pruned after step " in done.stdout
    assert "done" in done.stdout
    assert not (tmp_path / "mlruns").exists()


TYPED = """
from dataclasses import dataclass
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore

@dataclass
class Schema:
    part: Any = None
    x: Any = 0
    n: Any = 1
    widths: Any = None
    text: str = "a"

ConfigStore.instance().store(name="schema", node=Schema)

from runback.errors import InputError

@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    if isinstance(cfg.n, int) and not isinstance(cfg.n, bool) and cfg.n < 0:
        raise InputError("n: expected a number from 0")
    with open("seen.txt", "a") as seen:
        print(f"{cfg.part.name} {cfg.x!r} {cfg.n!r}", file=seen)
    return 1.0

app()
"""

TYPED_CONFIG = """
defaults: [schema, _self_, part: deep, override hydra/sweeper: runback]
x: 0
n: 1
widths: [1]
"""


@pytest.fixture(scope="module")
def typed(tmp_path_factory, make_project):
    """Return a function that sweeps an app of somebody's own, and gives what its task has seen too."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "app.py").write_text(TYPED)
    (folder / "app.yaml").write_text(TYPED_CONFIG)
    (folder / "part").mkdir()
    (folder / "part" / "deep.yaml").write_text("name: deep\ndropout2: 0.5\n")
    (folder / "part" / "shallow.yaml").write_text("name: shallow\n")
    environment = make_project(folder / "project").environment()

    def sweep(name, *overrides):
        (folder / "seen.txt").unlink(missing_ok=True)
        own = (f"hydra.sweep.dir={name}", "hydra.sweeper.n_workers=1")
        done = subprocess.run(
            [sys.executable, "app.py", "-m", *overrides, *own],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seen = folder / "seen.txt"
        return done, seen.read_text().splitlines() if seen.exists() else []

    return sweep


def test_values_reach_the_task_with_the_types_that_were_written(typed):
    done, seen = typed("types", "x=choice(1,true,'1',1.0,[1,true])", "n=tag(log,range(16,33,16))")
    assert done.returncode == 0, done.stderr
    written = ["1", "True", "'1'", "1.0", "[1, True]"]
    assert seen == [f"deep {x} {n}" for x in written for n in (16, 32)]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("1,2", "1,2,true", ["True"]),
        ("true,false", "true,false,1,0", ["1", "0"]),
        ("1,a", "1,a,1.0", ["1.0"]),
    ],
)
@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_a_sweep_that_is_extended_by_a_like_choice_tries_it(typed, first, then, expected, sampler):
    name = f"like-{sampler}-{first.replace(',', '-')}"
    budget = ("hydra.sweeper.n_trials=6",) if sampler == "tpe" else ()
    begun, _ = typed(name, f"x={first}", "hydra/sweeper/sampler=grid")
    assert begun.returncode == 0, begun.stderr
    extended = (f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.extend=true", *budget)
    done, seen = typed(name, f"x={then}", *extended)
    assert done.returncode == 0, done.stderr
    if sampler == "grid":
        assert seen == [f"deep {x} 1" for x in expected]
    assert len(seen) == (len(expected) if sampler == "grid" else 4)


def test_the_command_line_wins_over_a_search_whatever_its_prefix(typed):
    done, seen = typed("prefix", "n=1,2", "x=1,2", "++x=7")
    assert done.returncode == 0, done.stderr
    assert seen == ["deep 7 1", "deep 7 2"]


def test_glob_searches_the_files_of_a_group(typed):
    done, seen = typed("glob", "part=glob(*)")
    assert done.returncode == 0, done.stderr
    assert seen == ["deep 0 1", "shallow 0 1"]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("tiny", ["tiny"]),
        ("tiny-2", ["tiny-2"]),
        ("mine", ["tiny", "hydra.sweeper.name=mine"]),
        ("tiny-mine", ["tiny", "hydra.sweeper.name=tiny-mine"]),
        ("a b", ["tiny", "hydra.sweeper.name='a b'"]),
    ],
)
def test_a_sweep_is_gone_on_with_by_its_file_and_its_name(name, arguments):
    assert arguments_of("tiny", name) == arguments


def test_steps_reach_the_task_as_they_were_written(typed):
    done, seen = typed("steps", "x=range(0.1,0.75,0.1)")
    assert done.returncode == 0, done.stderr
    assert seen == [f"deep {x} 1" for x in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]


def test_an_impossible_block_of_a_grid_is_told_once_and_the_grid_goes_on(typed):
    done, seen = typed("block", "n=range(-6,2)")
    assert done.returncode == 0, done.stderr
    assert seen == ["deep 0 0", "deep 0 1"]
    assert done.stdout.count("n: expected a number from 0") == 1
    assert "2 done · 0 pruned · 6 failed (6 input)" in done.stdout


def test_a_sweep_of_impossible_configs_alone_has_failed(typed):
    done, seen = typed("impossible", "n=range(-6,0)")
    assert (done.returncode, seen) == (1, [])
    assert "no trial has completed: 6 failed" in done.stderr


def test_what_was_not_meant_is_refused_for_any_app(typed):
    for overrides, told in {
        ("part=deep,shallow", "part.dropout2=0.1,0.2"): "there is no such key with part=shallow",
        ("n=1,2", "x={min: 1, max: 4}"): "write x=range(1, 5)",
    }.items():
        done, seen = typed("refused", *overrides)
        assert told in done.stderr
        assert (done.returncode != 0, seen) == (True, [])


def test_a_key_that_some_choices_have_is_searched_with_these_only(typed):
    done, seen = typed("conditional", "part=deep,shallow", "part.dropout2=tag(deep,choice(0.1,0.2))")
    assert done.returncode == 0, done.stderr
    assert len(seen) == 3
    assert "3 done" in done.stdout
    assert len(re.findall(r"part=deep \S*dropout2=0\.[12]$", done.stdout, re.MULTILINE)) >= 2
    assert re.search(r"trial +\d  done .*part=shallow$", done.stdout, re.MULTILINE)


def test_a_number_that_a_text_would_change_is_refused_in_a_choice(typed):
    for override, advice in {
        "text=a,1e3": "text=a,'1e3'",
        "text=choice(1.10, 1.20)": "text=choice('1.10', '1.20')",
    }.items():
        done, seen = typed("texts", "n=1,2", override)
        assert seen == []
        assert done.returncode == 2, done.stderr
        assert "is read as a number or a truth value: quote it" in done.stderr
        assert advice.split("'")[1] in done.stderr
    done, seen = typed("quoted", "text=a,'1e3',1.5", "x=1e3")
    assert done.returncode == 0, done.stderr
    assert len(seen) == 3


def test_a_list_that_the_config_takes_is_searched_with_and_said_once(typed):
    done, seen = typed("lists", "n=1,2", "x=[3,5]", "widths=[1,2]")
    assert done.returncode == 0, done.stderr
    assert seen == ["deep [3, 5] 1", "deep [3, 5] 2"]
    told = "x=[3,5] is one value, the same in each trial; to search its elements write x=3,5"
    assert done.stdout.count(told) == 1
    assert "widths=" not in done.stdout
    done, seen = typed("mapping", "n=1,2", "x={mean: 1}")
    assert (done.returncode, seen) == (0, ["deep {'mean': 1} 1", "deep {'mean': 1} 2"])


def test_fractions_of_a_whole_number_are_said_once(typed):
    done, seen = typed("fractions", "x=interval(0,4)", "hydra.sweeper.n_trials=3")
    assert done.returncode == 0, done.stderr
    assert len(seen) == 3
    assert done.stdout.count("to search whole numbers write int(interval(0, 4)) or range(0, 5)") == 1


BAD_SWEEPS = {
    ("sweep", "nope"): "unknown sweep 'nope': expected one of cifar10, cifar10_cpu, quickstart",
    ("sweep", "quickstar"): "did you mean 'quickstart'?",
    ("train", "-m", "training.epochs=2"): "the search space is empty",
    ("train", "-m", "training.epoch=1,2"): "did you mean 'training.epochs'?",
    ("train", "-m", "optimizer=sgd,adamm"): "did you mean 'adam'?",
    ("train", "-m", "model.dense_dropout=0.5,1.5"): "model.dense_dropout: input should be less than 1",
    ("sweep", "quickstart", "model.conv_dropout=interval(0,1.5)"): "model.conv_dropout",
    ("sweep", "quickstart", "data=folder"): "data.path",
    ("sweep", "quickstart", "hydra/sweeper/sampler=grid"): "finite",
    ("sweep", "quickstart", "hydra/sweeper/sampler=tp"): "did you mean 'tpe'?",
    ("sweep", "quickstart", "hydra/sweeper/pruner=hyperband", "hydra.sweeper.max_resource=null"): (
        "max_resource must be set"
    ),
    ("sweep", "quickstart", "hydra.sweeper.pruner.reduction_factor=1"): "a whole number from 2; got 1",
    ("sweep", "quickstart", "hydra.sweeper.first=[1]"): "hydra.sweeper.first must be config, none,",
    ("sweep", "quickstart", "hydra.sweeper.first=['a=1 b=2']"): "hydra.sweeper.first: 'a=1 b=2'",
    ("sweep", "quickstart", "hydra.sweeper.first=best:other"): "unknown sweep 'other'",
    ("sweep", "quickstart", "hydra.sweeper.startup=sobol"): "startup must be covering or random",
    ("sweep", "quickstart", "hydra.sweeper.n_trials=0"): "hydra.sweeper.n_trials must be positive",
    ("sweep", "quickstart", "hydra.sweeper.n_trials=null"): "would never end",
    ("sweep", "quickstart", "hydra.sweeper.confirm={top: 0}"): "confirm.top must be a whole number from 1",
    ("sweep", "quickstart", "hydra.sweeper.confirm={seeds: 1}"): "must be a whole number from 2 to 1000",
    ("sweep", "quickstart", "hydra.sweeper.confirm={tops: 2}"): "did you mean 'top'?",
    ("sweep", "quickstart", "hydra.sweeper.confirm={seed_key: sed}"): "takes a seed; got sed: ",
    (
        "sweep", "quickstart", "hydra/sweeper/pruner=none", "hydra.sweeper.confirm={}",
        "training.objective=[val_loss,parameters]", "training.direction=[minimize,minimize]",
    ): "the confirm stage needs one objective, not 2: use hydra.sweeper.confirm=null",
    (
        "sweep", "quickstart",
        "training.objective=[val_loss,parameters]", "training.direction=[minimize,minimize]",
    ): "pruning needs one objective",
    ("sweep", "quickstart", "hydra.sweeper.name='a/b'"): "hydra.sweeper.name must be usable",
    ("sweep", "quickstart", "hydra.sweeper.sampler=random"): "hydra/sweeper/sampler=random",
    ("sweep", "quickstart", "tracking.experiment=a/b"): "tracking.experiment must be usable",
    ("best", "quickstart"): "no sweeps yet",
    (
        "train", "-m", "model.dense_width=interval(4,17)", "hydra.sweeper.n_trials=2",
    ): "model.dense_width: it takes whole numbers only: write int(interval(4, 17)) or range(4, 18)",
    (
        "train", "-m", "training.batch_size=tag(log,interval(16,64))", "hydra.sweeper.n_trials=2",
    ): "training.batch_size: it takes whole numbers only: write tag(log, int(interval(16, 64)))",
    (
        "train", "-m", "model=deep_cnn,resnet20", "model.dense_width=8,16",
    ): "to search it with deep_cnn only, write model.dense_width=tag(deep_cnn,choice(8,16)), or",
    (
        "train", "-m", "optimizer=sgd,adam,rmsprop", "optimizer.momentum=interval(0.5,0.9)",
        "hydra.sweeper.n_trials=2",
    ): "to search it with sgd only, write optimizer.momentum=tag(sgd,interval(0.5,0.9)), or add it",
    (
        "train", "-m", "optimizer=sgd,adam", "optimizer.momentum=0.8",
    ): "where choices of optimizer have it, write optimizer.momentum=choice(0.8)",
    (
        "train", "-m", "seed=1,2", "model.dense_width=[16,32]",
    ): "is one value, the same in each trial; to search its elements write model.dense_width=16,32",
    (
        "train", "-m", "seed=1,2", "optimizer.learning_rate={min: 1e-4, max: 0.1, scale: log}",
    ): "write optimizer.learning_rate=tag(log, interval(0.0001, 0.1))",
    ("train", "-m", "seed=1,2", "training.epochs=[4,8]"): "to search its elements write training.epochs=4,8",
    ("train", "-m", "seed=1,2", "optimizer=[adam,sgd]"): "to search several write optimizer=adam,sgd",
    ("train", "-m", "seed=1,2", "tracking.experiment=1e3"): "quote it: \"tracking.experiment='1e3'\"",
    ("train", "-m", "seed=choice(1,true)"): "seed: value 'True' of type 'bool' could not be converted",
    ("train", "-m", "optimizer.learning_rate=0.1,true"): "learning_rate: expected a number; got true",
    ("train", "-m", "seed=range(1,10000000)"): "the grid has 9,999,999 points, more than 1,000,000",
    ("train", "seed=1,2", "-m", "training.epochs=0"): "training.epochs must be at least 1",
    ("train", "-m", "seed=1,2", "hydra.sweeper.direction=0.5"): "hydra.sweeper.direction must be a name or a",
    ("train", "-m", "seed=1,2", "++training.epoch=3"): "did you mean 'training.epochs'?",
    ("train", "-m", 'seed=choice(1,"1")'): "seed: 1 and '1' are the same value there, 1: leave one out",
    ("train", "-m", "training.macro_f1=choice(1,true)"): "are the same value there, True: leave one out",
    ("train", "-m", "model.dense_dropout={min: 0, max: 1}"): "or model.dense_dropout=interval(0, 1), where",
    ("train", "-m", "model=resnet20", "model.widht=4,8"): "did you mean 'model.width'?",
    ("train", "-m", "seed=1,2", "training.class_weight={a é: 1}"): "no key of a mapping can be 'a é'",
    ("sweep", "quickstart", "+epochs=1"): "unknown key 'epochs': no training reads it",
    ("sweep", "quickstart", f"hydra.sweeper.experiment={'a' * 300}"): "hydra.sweeper.experiment must",
}  # fmt: skip

if importlib.util.find_spec("torch") is None:
    BAD_SWEEPS["sweep", "quickstart", "hydra/sweeper/sampler=gp"] = "PyTorch"


@pytest.fixture(scope="module")
def refusals(tmp_path_factory, make_project):
    """Try all bad sweeps in one project."""
    project = make_project(tmp_path_factory.mktemp("refused"))
    results = project.run_many(*BAD_SWEEPS)
    return project, dict(zip(BAD_SWEEPS, results, strict=True))


@pytest.mark.parametrize("arguments", BAD_SWEEPS, ids=" ".join)
def test_a_bad_sweep_is_refused_in_one_line_before_its_first_trial(refusals, arguments):
    code, out, err = refusals[1][arguments]
    assert code == 2, err
    assert out == ""
    assert BAD_SWEEPS[arguments] in err
    assert err.count("\n") == 1


def test_files_that_are_not_what_they_should_be_are_named(project):
    project.own_sweeps(broken="training:\n  epochs: [1\n", gone=TINY_SWEEP, damaged=TINY_SWEEP)
    sweeps, studies = project.folder / "sweeps", project.folder / "mlruns" / "sweeps"
    (sweeps / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (studies / "gone" / "0").mkdir(parents=True)
    (studies / "damaged").mkdir()
    (studies / "damaged" / "study.db").write_bytes(b"no database " * 1000)
    commands = {
        ("sweep", "broken"): "broken.yaml, line 3, column 1: no YAML: ",
        ("sweep", "binary"): "binary.yaml is no text in UTF-8",
        ("sweep", "gone"): "holds trials, and study.db knows none",
        ("sweep", "damaged"): "study.db",
        ("best", "damaged"): "study.db",
    }
    for (code, out, err), told in zip(project.run_many(*commands), commands.values(), strict=True):
        assert (code, out) == (2, ""), err
        assert told in err
        assert err.count("\n") == 1
    assert project.runs() == []


def test_refused_sweeps_leave_nothing_in_the_stores(refusals):
    project, _ = refusals
    assert project.runs() == []
    assert not (project.folder / "mlruns" / "sweeps").exists()
