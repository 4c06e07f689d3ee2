"""docs/own-script.md is true: its scripts and commands run as they are written, in their order."""

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runback.tracking.sqlite.sqlite_file import sqlite_uri

PAGE = (Path(__file__).parents[1] / "docs" / "own-script.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^<!-- (\w+): ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(PAGE)

pytestmark = pytest.mark.timeout(900)  # many processes, one after the other

BIN = Path(sys.executable).parent


def script(name):
    return next(text for kind, said, _, text in BLOCKS if (kind, said) == ("file", name))


def changes(name):
    return next(text for kind, said, _, text in BLOCKS if (kind, said) == ("changes", name)).splitlines()


def changed(text, lines):
    """Return a text with a page's changes made; a line that is neither added nor removed says where."""
    before, after = text.splitlines(), []
    for sign, line in ((one[0], one[1:]) for one in lines):
        if sign == "+":
            after.append(line)
            continue
        at = before.index(line)
        after += before[:at] if sign == "-" else before[: at + 1]
        before = before[at + 1 :]
    return "\n".join([*after, *before, ""])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for kind, name, _, text in BLOCKS:
        if kind == "file":
            (folder / name).write_text(text)
    (folder / "digits.py").write_text(changed(script("digits.py"), changes("digits.py")))
    return folder


def environment():
    foreign = ("RUNBACK_", "MLFLOW_", "HYDRA_", "KERAS_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}


def shell(command, folder):
    typed = {"cwd": folder, "env": environment(), "text": True, "timeout": 300}
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, **typed)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def killed(arguments, folder):
    """Kill a script in its fourth epoch; return its run's ID."""
    process = subprocess.Popen(
        [sys.executable, "-u", *arguments], stdout=subprocess.PIPE, text=True, cwd=folder, env=environment()
    )
    assert process.stdout is not None
    next(line for line in process.stdout if line.startswith("epoch 4/"))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=300)
    client = MlflowClient(sqlite_uri(folder / "mlruns" / "mlflow.db"))
    [run, *_] = client.search_runs([one.experiment_id for one in client.search_experiments()])
    return run.info.run_id


def test_a_script_of_forty_lines_becomes_a_task_by_five():
    lines = changes("digits.py")
    added, removed = ([one for one in lines if one.startswith(sign)] for sign in "+-")
    assert len(added) <= 5
    assert len(removed) <= len(added)
    assert 38 <= len(script("digits.py").splitlines()) <= 45


def test_the_script_runs_before_it_is_changed(folder, tmp_path):
    (tmp_path / "digits.py").write_text(script("digits.py").replace("epochs: int = 5", "epochs: int = 1"))
    assert 0 < float(shell("python digits.py", tmp_path)) <= 1
    assert not (tmp_path / "mlruns").exists()


COMMANDS = [(kind, said, text) for kind, said, language, text in BLOCKS if language == "sh"]


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_every_command_of_the_page_runs_in_its_order(folder, number):
    kind, said, text = COMMANDS[number]
    needed = said if kind == "needs" else "torch" if "net.py" in text else "keras"
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    run = killed(shlex.split(said), folder) if kind == "resume" else ""
    for command in text.splitlines():
        out = shell(command.replace("RUN", run) if run else command, folder)
        assert "reproduce" not in command or out.splitlines()[-1] == "bit-identical"
    client = MlflowClient(sqlite_uri(folder / "mlruns" / "mlflow.db"))
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED"}


def test_every_language_of_the_page_is_tested():
    assert {language for _, _, language, _ in BLOCKS} == {"python", "diff", "sh"}
