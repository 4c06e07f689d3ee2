"""The Makefile, in a checkout of its own whose path has a space in it; nothing is installed here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")

pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a fresh checkout: no .venv yet."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(ROOT / name, folder)
    for name in ("conf", "sweeps"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture
def installed(checkout: Path) -> Path:
    """Return a checkout whose set-up is done: its Python is the one that runs these tests."""
    script(checkout / ".venv" / "bin" / "python", f'exec {shlex.quote(sys.executable)} "$@"')
    (checkout / ".venv" / ".synced").touch()
    return checkout


def script(path: Path, body: str) -> Path:
    """Write a shell script that can be started."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person does, not as the make that may have started these tests."""
    outer = ("MAKE", "RUNBACK_", "MLFLOW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    kept = {name: value for name, value in kept.items() if name not in ("SWEEP", "RUN", "ARGS", "PYTHON")}
    kept["LC_ALL"] = "C"
    return subprocess.run(
        [MAKE, "--no-print-directory", *arguments],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def targets() -> list[str]:
    [line] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return line.split()


def test_plain_make_lists_every_target_and_installs_nothing(checkout):
    done = make(checkout)
    assert done.returncode == 0
    listed = dict(re.findall(r"^  make (\S+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert sorted(listed) == sorted(targets())
    assert all(listed.values())
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    "target", ["sweep", "train", "best", "evaluate", "serve", "ui", "doctor", "test", "lint", "bench"]
)
def test_every_target_that_needs_the_set_up_does_it_first(target, checkout):
    planned = make(checkout, "-n", target).stdout
    assert "uv sync --frozen" in planned
    assert "touch .venv/.synced" in planned
    assert planned.splitlines()[-1].startswith(".venv/bin/")


def test_an_old_python_is_refused_in_one_line(checkout):
    old = script(checkout.parent / "python3.9", 'case "$1" in -V) echo Python 3.9.1;; *) exit 1;; esac')
    done = make(checkout, "sweep", f"PYTHON={old}")
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert line == f"runback needs Python 3.11 to 3.13; {old} is Python 3.9.1: make PYTHON=python3.12 ..."
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_refused(checkout):
    done = make(checkout, "sweep", "PYTHON=python3.99")
    assert done.returncode == 2
    assert "runback needs Python 3.11 to 3.13; python3.99 is" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_command_works_in_a_path_with_a_space_and_its_one_line_comes_through(installed):
    done = make(installed, "best", "SWEEP=nope")
    assert done.returncode == 2
    [line] = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert line == "runback: unknown sweep 'nope': there are no sweeps yet"
    assert done.stdout == ""


def test_nothing_is_set_up_twice_until_the_lock_changes(installed):
    assert "uv sync" not in make(installed, "-n", "sweep").stdout
    later = (installed / ".venv" / ".synced").stat().st_mtime + 10
    os.utime(installed / "uv.lock", (later, later))
    assert "uv sync" in make(installed, "-n", "sweep").stdout


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["sweep"], ["sweep", "quickstart"]),
        (["sweep", "SWEEP=mine", "ARGS=training.epochs=3"], ["sweep", "mine", "training.epochs=3"]),
        (["train", "ARGS='model.widths=[4,4]' seed=1"], ["train", "model.widths=[4,4]", "seed=1"]),
        (["best", "SWEEP=mine", "ARGS=--json"], ["best", "mine", "--json"]),
        (["evaluate", "RUN=abc123", "ARGS=--json"], ["evaluate", "abc123", "--json"]),
        (["promote", "RUN=abc123"], ["promote", "abc123"]),
        (["review", "RUN=abc123", "ARGS=--by Ada"], ["review", "abc123", "--by", "Ada"]),
        (["compare", "RUN=abc123 def456"], ["compare", "abc123", "def456"]),
        (["compare", "SWEEP=cifar10", "ARGS=--top 5"], ["compare", "--sweep", "cifar10", "--top", "5"]),
        (["serve"], ["serve", "best:quickstart"]),
        (["serve", "RUN=cifar10@champion"], ["serve", "cifar10@champion"]),
        (["ui", "ARGS=--port 5001"], ["ui", "--port", "5001"]),
        (["doctor", "ARGS=--fix"], ["doctor", "--fix"]),
    ],
)  # fmt: skip
def test_variables_are_handed_on_as_the_shell_reads_them(asked, told, installed):
    [line] = make(installed, "-n", *asked).stdout.splitlines()
    assert shlex.split(line) == [".venv/bin/python", "-m", "runback", *told]


def test_check_is_lint_and_test(installed):
    both = make(installed, "-n", "lint").stdout + make(installed, "-n", "test").stdout
    assert make(installed, "-n", "check").stdout == both
    assert all(
        tool in both for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest")
    )
