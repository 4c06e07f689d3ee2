"""A whole sweep of a small app: what it says at its start, and what it keeps from its first start on."""

import os
import re
import shutil
import subprocess
import sys

import pytest

APP = """
import hydra
from runback.sweeping import report


@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    for step in range(1, 10):
        report(cfg.x * step, step)
    return cfg.x * 9


app()
"""

CONFIG = """
defaults: [{override hydra/sweeper: runback}]
x: 0.5
y: 0
hydra: {sweeper: {direction: maximize, n_workers: 1}, sweep: {dir: "sweeps/${oc.env:NAME}"}}
"""

PROMOTE = "hydra/sweeper/pruner=promote"


@pytest.fixture
def sweep(tmp_path):
    """Sweeps by a name; returns what was done."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "app.yaml").write_text(CONFIG)

    def run(name, *overrides, space="x=interval(0,1)"):
        return subprocess.run(
            [sys.executable, "app.py", "-m", space, *overrides],
            cwd=tmp_path, env={**os.environ, "NAME": name}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_a_search_begins_near_a_likely_value_or_says_that_it_does_not(sweep):
    trials = ("hydra.sweeper.n_trials=8", "hydra.sweeper.first=none")
    near = sweep("near", *trials, space="x=tag('prior=0.2',interval(0,1))")
    assert near.returncode == 0, near.stderr
    assert "likely" not in near.stdout
    found = sorted(float(value) for value in re.findall(r"done .* x=([\d.e-]+)", near.stdout))
    assert len(found) == 8
    assert sum(value < 0.5 for value in found) >= 5
    random = sweep(
        "random", *trials, "hydra/sweeper/sampler=random", space="x=tag('prior=0.2',interval(0,1))"
    )
    assert random.returncode == 0, random.stderr
    assert "note: the search does not begin near the likely values of x (prior 0.2)" in random.stdout


def test_the_points_of_another_sweep_stay_those_of_the_first_start(sweep, tmp_path):
    assert sweep("a", "hydra.sweeper.n_trials=3").returncode == 0
    best = ("hydra.sweeper.first=best:a", "hydra.sweeper.deterministic=true")
    first = sweep("b", "hydra.sweeper.n_trials=2", *best)
    assert first.returncode == 0, first.stderr
    shutil.rmtree(tmp_path / "sweeps" / "a")
    finished = sweep("b", "hydra.sweeper.n_trials=2", *best)
    assert finished.returncode == 0, finished.stderr
    more = sweep("b", "hydra.sweeper.n_trials=3", *best)
    assert more.returncode == 0, more.stderr
    assert "x=0.5\n" in more.stdout  # the third of its points, which was the other's config
    other = sweep("b", "hydra.sweeper.n_trials=4", "hydra.sweeper.first=best:a")
    assert (other.returncode, "hydra.sweeper.deterministic=True" in other.stderr) == (2, True)


def test_a_length_that_nobody_knows_is_said_once_where_trials_pause(sweep):
    said = "note: a training may pause at its end too"
    first = sweep("a", "hydra.sweeper.n_trials=1", PROMOTE)
    assert first.stdout.count(said) == 1
    assert said not in sweep("a", "hydra.sweeper.n_trials=2", PROMOTE).stdout
    assert said not in sweep("b", "hydra.sweeper.n_trials=1", PROMOTE, "hydra.sweeper.max_resource=9").stdout
    assert said not in sweep("c", "hydra.sweeper.n_trials=1").stdout


def test_a_choice_is_no_baseline_where_the_config_itself_is_outside(sweep, tmp_path):
    """The config's x is outside; so trial 0, where it is nobody's measure, pauses as any other."""
    knobs = ("hydra.sweeper.n_trials=3", "hydra.sweeper.max_resource=9", PROMOTE)
    outside = sweep("a", *knobs, space="x=interval(0.6,1)")
    assert (
        "the config's own values are no first trial, being outside the search space: x=0.5" in outside.stdout
    )
    assert "trial   0  paused" in outside.stdout
    assert "trial   0  paused" not in sweep("b", *knobs).stdout


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("hydra.sweeper.sampler.n_startup_trials=ten", "must be a whole number from 0; got 'ten'"),
        ("hydra.sweeper.sampler.n_startup_trials=null", "must be a whole number from 0; got None"),
        ("hydra.sweeper.max_resource=0", "hydra.sweeper.max_resource must be a whole number from 1; got 0"),
        ("hydra.sweeper.first=['y=2']", "hydra.sweeper.first: 'y=2': y is not searched (searched are x)"),
    ],
)
def test_a_setting_that_is_none_is_one_line_before_anything_is_stored(sweep, tmp_path, override, text):
    done = sweep("a", "hydra/sweeper/sampler=tpe", "hydra.sweeper.n_trials=1", override)
    assert done.returncode == 2
    assert text in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "sweeps" / "a" / "study.db").exists()
