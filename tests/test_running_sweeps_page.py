"""Every command of docs/running-sweeps.md and docs/slurm.md, in the order of the pages."""

import os
import re
import shlex
import time
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

pytestmark = pytest.mark.timeout(900)

DOCS = Path(__file__).parents[1] / "docs"

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def nothing_is_left(project):
    yield
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if process.info["cwd"] == str(project.folder):
            process.kill()


def commands(page):
    return [line for text in BLOCK.findall((DOCS / page).read_text("utf-8")) for line in text.splitlines()]


def trials(project, *states):
    study = project.study("quickstart")
    return [] if study is None else study.get_trials(deepcopy=False, states=states or None)


def test_a_running_sweep_is_followed_changed_and_stopped(project):
    for command in commands("running-sweeps.md"):
        tool, *words = shlex.split(command)
        assert tool == "runback"
        if words == ["stop", "quickstart/8"]:
            wait(lambda: any(one.number == 8 for one in trials(project, TrialState.RUNNING)))
        done = project.run(*words)
        assert done.returncode == 0, (command, done.stderr)
        if words[0] == "attach":
            assert len(trials(project, TrialState.COMPLETE, TrialState.PRUNED)) == 6
    assert trials(project)[8].user_attrs["failure"] == "stopped: ended on request"
    assert not trials(project, TrialState.RUNNING)
    events = project.study("quickstart").user_attrs["runback:events"]
    kinds = [next(key for key in one if key != "at") for one in events]
    assert kinds == ["set", "enqueue", "end_trial", "stop"]


def wait(happened, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_a_sweep_runs_on_slurm(project, slurm):
    for command in commands("slurm.md"):
        done = project.run(*shlex.split(command)[1:], SLURM_CONF=os.environ["SLURM_CONF"])
        assert done.returncode == 0, (command, done.stderr)
    assert len(trials(project, TrialState.COMPLETE, TrialState.PRUNED)) == 4


def test_the_page_names_all_settings_of_the_engine():
    from hydra_plugins.runback_sweeper.config import SLURM

    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "slurm.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(set(SLURM) - {"name"})
