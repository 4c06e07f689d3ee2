"""A plain Hydra app of a user's that gets an error of runback's: one line and its exit code."""

import os
import subprocess
import sys

import pytest

APP = """
import hydra

from runback.errors import InputError, TrainingError
from runback.sweeping import report


@hydra.main(version_base="1.3", config_path=".", config_name="app")
def app(cfg):
    match cfg.raises:
        case "input":
            raise InputError("no such thing: give another")
        case "training":
            raise TrainingError("it went wrong")
        case "bug":
            raise KeyError("a bug")
        case "hydra":
            hydra.utils.instantiate({"_target_": "nowhere.nothing"})
    report(cfg.x**2, 1)
    return cfg.x**2


app()
"""

CONFIG = """
defaults:
  - override hydra/sweeper: runback
x: 1.0
raises: nothing
hydra: {sweeper: {direction: minimize, n_trials: 2}, run: {dir: out}, sweep: {dir: sweep}}
"""

ONE_LINE = {
    ("raises=input",): (2, "no such thing: give another\n"),
    ("raises=training",): (1, "it went wrong\n"),
    ("x='${nope}'",): (2, "Interpolation key 'nope' not found (for x)\n"),
    ("x='${oc.env:NOPE}'",): (
        2,
        "environment variable 'NOPE' not found: set it, or give a default, ${oc.env:NAME,1} (for x)\n",
    ),
    ("-m", "x=interval(0,1)", "hydra.sweeper.n_trials=-1"): (
        2,
        "hydra.sweeper.n_trials must be positive; got -1\n",
    ),
    ("-m", "x=1"): (2, "the search space is empty: "),
    ("-m", "y=choice(1,2)"): (2, "Could not override 'y'.; Key 'y' is not in struct (for y)\n"),
    ("x=~/a",): (2, "cannot read 'x=~/a': quote its value: \"x='~/a'\"\n"),
    ("-m", "x=choice(~/a,~/b)"): (
        2,
        "cannot read 'x=choice(~/a,~/b)': quote its texts: \"x=choice('~/a','~/b')\"\n",
    ),
    ("-m", "x=choise(1,2)"): (
        2,
        "cannot read 'x=choise(1,2)': there is no choise(); did you mean choice()? ",
    ),
    ("y=1",): (2, "Could not override 'y'.; Key 'y' is not in struct (for y)\n"),
    ("x=1,2",): (2, "Ambiguous value for argument 'x=1,2'; "),
    ("nope/x=1",): (2, "Could not override 'nope/x'"),
    ("-m", "x=interval(0,inf)"): (2, "search space of x: the ends of an interval must be finite numbers"),
    ("-m", "x=choice(1,2)", "hydra.sweep.dir='${nope}'"): (
        2,
        "Interpolation key 'nope' not found (for hydra.sweep.dir)\n",
    ),
}


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments, config=CONFIG, **environment):
        (tmp_path / "app.yaml").write_text(config)
        return subprocess.run(
            [sys.executable, "app.py", *arguments],
            cwd=tmp_path, env={**os.environ, **environment}, capture_output=True, text=True,
            timeout=1200, check=False,
        )  # fmt: skip

    return run


@pytest.mark.parametrize(("arguments", "expected"), ONE_LINE.items())
def test_an_error_of_runbacks_is_one_line(app, arguments, expected):
    done = app(*arguments)
    code, said = expected
    assert (done.returncode, done.stderr.count("\n")) == (code, 1), done.stderr
    assert done.stderr.startswith(said)


def test_what_is_no_error_of_runbacks_is_reported_as_hydra_does(app):
    done = app("raises=bug")
    assert done.returncode == 1
    assert "KeyError: 'a bug'" in done.stderr
    assert "Error executing job with overrides" in done.stderr


def test_what_hydra_raises_in_a_job_is_reported_as_hydra_does(app):
    done = app("raises=hydra")
    assert done.returncode == 1
    assert "Error executing job with overrides" in done.stderr


def test_an_app_with_another_sweeper_is_told_by_hydra(app):
    done = app(
        "x=~/a",
        config=CONFIG.replace("hydra/sweeper: runback", "hydra/sweeper: basic").partition("hydra: {")[0],
    )
    assert done.returncode == 1
    assert "LexerNoViableAltException" in done.stderr


def test_the_whole_traceback_is_to_be_had(app):
    done = app("raises=input", HYDRA_FULL_ERROR="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "InputError: no such thing" in done.stderr


def test_an_app_without_errors_is_as_it_was(app):
    assert app().returncode == 0
    done = app("-m", "x=choice(1,2)")
    assert done.returncode == 0, done.stderr
    assert "2 done" in done.stdout
