"""`runback.sweep` and what it returns, in a real Jupyter kernel; docs/notebook.md is true."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty

import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from mlflow import MlflowClient

from runback.tracking.sqlite.sqlite_file import sqlite_uri

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(file, language, text) for file, language, text in BLOCK.findall(PAGE)]

TASK = """
import runback

def slowly(seconds):
    import time
    time.sleep(seconds)

def train(run: runback.Run, *, rate: float = 0.1, epochs: int = 3, pause: float = 0.05) -> float:
    for epoch in run.epochs(epochs):
        slowly(pause)
        run.log(val_loss=rate / (epoch + 1))
    return run.best("val_loss")
"""


@dataclass
class Output:
    """What a cell has shown."""

    text: str = ""
    """What it printed."""
    shown: list[dict] = field(default_factory=list)
    """What it displayed, and its value."""
    updates: list[dict] = field(default_factory=list)
    """What took the place of what was displayed."""
    error: str = ""
    """The name and the text of its exception."""
    traceback: list[str] = field(default_factory=list)


@dataclass
class Kernel:
    """A Jupyter kernel in a folder."""

    folder: Path
    manager: KernelManager
    client: BlockingKernelClient

    def run(self, code: str, *, timeout: float = 180, interrupt_at: str = "") -> Output:
        """Run a cell, and interrupt the kernel once a table shows a text."""
        asked = self.client.execute(code)
        output, deadline = Output(), time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    output.text += content["text"]
                case "display_data" | "execute_result":
                    output.shown.append(content["data"])
                case "update_display_data":
                    output.updates.append(content["data"])
                case "error":
                    output.error = f"{content['ename']}: {content['evalue']}"
                    output.traceback = content["traceback"]
                case "status" if content["execution_state"] == "idle":
                    return output
            if interrupt_at and any(interrupt_at in one["text/plain"] for one in output.updates):
                self.manager.interrupt_kernel()
                interrupt_at = ""
        raise TimeoutError(f"the cell is still running: {output}")

    def runs(self) -> list:
        """Return all runs."""
        client = MlflowClient(sqlite_uri(self.folder / "mlruns" / "mlflow.db"))
        experiments = [one.experiment_id for one in client.search_experiments()]
        return list(client.search_runs(experiments))

    def children(self) -> list[psutil.Process]:
        """Return the kernel's processes, without the one by which Python's own multiprocessing cleans up."""
        kernel = psutil.Process(self.manager.provisioner.pid)
        alive = [one for one in kernel.children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
        return [one for one in alive if "resource_tracker" not in " ".join(one.cmdline())]


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3"}


@pytest.fixture
def kernel(tmp_path) -> Iterator[Kernel]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(tmp_path), env=environment())
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield Kernel(tmp_path, manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_functions_of_cells_are_swept_below_a_table_that_is_drawn_in_its_place(kernel) -> None:
    kernel.run(TASK)
    call = "runback.sweep(train, {'rate': 'interval(0.1, 0.9)', 'epochs': [2, 3]}, n_trials=4, n_workers=2)"
    swept = kernel.run(f"found = {call}")
    assert swept.error == ""
    assert len(swept.shown) == 1, "one table, and nothing beside it"
    assert any("running" in one["text/plain"] and "rate=" in one["text/plain"] for one in swept.updates)
    last = swept.updates[-1]
    assert last["text/plain"].startswith("trial  state  step  value   parameters\n")
    assert last["text/plain"].count("done") == 5  # a row for each trial, and the count
    assert last["text/html"].count("<tr>") == 5
    assert "\x1b" not in swept.text + str(swept.updates)
    assert "Warning" not in swept.text
    assert swept.text.splitlines()[0] == "sweep train: getting ready, 2 trials at once"
    assert kernel.children() == []
    assert len([run for run in kernel.runs() if "mlflow.parentRunId" in run.data.tags]) == 4

    shown = kernel.run("found").shown[0]
    assert shown["text/plain"].startswith("sweep train: 4 trials, 4 finished; ")
    assert shown["text/html"].count("<tr") == 5
    assert "best_val_loss" in shown["text/html"]
    # A sweep that is finished says so, and is not begun again.
    again = kernel.run(f"again = {call}\nprint(again.trials.run.equals(found.trials.run))")
    assert "sweep train is finished: 4 of 4 trials" in again.text
    assert again.text.endswith("True\n")


def test_an_interrupt_leaves_the_stores_clean_and_the_same_call_goes_on(kernel) -> None:
    kernel.run(TASK)
    call = "found = runback.sweep(train, {'rate': 'interval(0.1, 0.9)'}, n_trials=3, n_workers=2, name='s')"
    kernel.run("train.__kwdefaults__['pause'] = 0.5")
    stopped = kernel.run(call, interrupt_at="running 1 s")
    assert stopped.error == "Stopped: sweep s interrupted: the same call goes on with it"
    assert stopped.traceback == ["sweep s interrupted: the same call goes on with it"]
    assert {run.info.status for run in kernel.runs()} <= {"KILLED", "FINISHED"}
    assert "KILLED" in {run.info.status for run in kernel.runs()}
    deadline = time.monotonic() + 10
    while kernel.children() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [one.cmdline() for one in kernel.children()] == []

    went_on = kernel.run(call)
    assert went_on.error == ""
    states = kernel.run("print(list(found.trials.status), list(found.trials.trial))").text
    assert re.fullmatch(r"\['FINISHED', 'FINISHED', 'FINISHED'\] \[\d, \d, \d\]\n", states), states
    assert {run.info.status for run in kernel.runs()} <= {"FINISHED", "KILLED"}


REFUSED = {
    "runback.sweep(train, {'rat': [1, 2]})": "rat",
    "runback.sweep(train, {})": "the space is empty",
    "runback.sweep(train, 'rate=1,2')": "a space is a dict from parameters to their values",
    "runback.sweep(train, {'rate': [object()]})": "values are numbers, texts, lists and dicts of them",
    "runback.sweep(train, {'rate': print})": "got a builtin_function_or_method",
    "runback.sweep('rate', {'rate': [1, 2]})": "@runback.task stands above a function; got 'rate'",
    "runback.load_model(3)": "takes a run's ID",
    "runback.sweep(train, {'rate': 'interval(0.1, 0.9)'})": "the sweep would never end",
    "runback.sweep(train, {'rate': 'interval(0.1'}, n_trials=2)": "rate",
    "runback.sweep(train, {'epochs': ['many', 'few']})": "epochs",
    "runback.sweep(train, {'rate': [1, 2]}, n_trials='many')": "n_trials",
    "runback.sweep(train, {'rate': [1, 2]}, n_trial=2)": "n_trial",
    "runback.sweep(lambda run, rate: 1, {'rate': [1, 2]})": "parameter rate has no type",
    "runback.sweep(train, {'rate': [1, 2]}, name='a/b')": "a/b",
    "runback.load('nosuch')": "there are no runs yet",
}


def test_bad_input_in_a_cell_is_one_line_and_leaves_nothing_behind(kernel) -> None:
    kernel.run(TASK)
    for call, message in REFUSED.items():
        refused = kernel.run(call)
        assert refused.error.startswith("InputError: "), (call, refused)
        assert message in refused.error, (call, refused)
        assert refused.traceback == [refused.error]
        assert set(refused.text.splitlines()) <= {"sweep train: getting ready, 2 trials at once"}, call
    assert not list((kernel.folder / "mlruns").glob("sweeps/*/study.db"))
    assert not (kernel.folder / "mlruns" / "mlflow.db").exists()


def named(file: str) -> str:
    """Return the block below a comment with the name of a file."""
    return next(text for name, _, text in BLOCKS if name == file)


def cells(text: str) -> list[str]:
    """Return the cells of a notebook that is written as `# In [1]:` and its code."""
    return [cell.strip("\n") for cell in re.split(r"^# In \[\d+\]:\n", text, flags=re.MULTILINE)[1:]]


def test_every_block_is_run_or_compared() -> None:
    assert [(file, language) for file, language, _ in BLOCKS] == [
        *[("", "python")] * 4,
        ("digits.ipynb", "python"),
        ("", "sh"),
        ("", "text"),
        ("digits.py", "python"),
        ("", "sh"),
    ]


def test_its_cells_run_in_a_kernel(kernel) -> None:
    run = [text for file, language, text in BLOCKS if language == "python" and not file]
    outputs = [kernel.run(cell) for cell in run]
    assert [output.error for output in outputs] == [""] * 4
    assert "6 done" in outputs[1].updates[-1]["text/plain"]
    trials, curves = (output.shown[0]["text/plain"].splitlines() for output in outputs[2:])
    assert trials[0].split() == ["trial", "alpha", "best_val_accuracy", "status"]
    assert len(trials) == 1 + 6
    assert [line.split()[0] for line in curves[2:]] == ["1", "2", "3", "4", "5"]


@pytest.fixture
def notebook(tmp_path) -> Path:
    written = [{"cell_type": "code", "source": cell} for cell in cells(named("digits.ipynb"))]
    (tmp_path / "digits.ipynb").write_text(json.dumps({"cells": written, "nbformat": 4}), encoding="utf-8")
    return tmp_path / "digits.ipynb"


def test_its_notebook_becomes_its_script_which_its_commands_run(notebook) -> None:
    (importing, training) = [text for _, language, text in BLOCKS if language == "sh"]
    (report,) = [text for _, language, text in BLOCKS if language == "text"]

    def run(line: str) -> str:
        program, *arguments = shlex.split(line)
        command = [sys.executable, *(["-m", "runback"] if program == "runback" else []), *arguments]
        done = subprocess.run(
            command, cwd=notebook.parent, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run(importing) == report
    assert (notebook.parent / "digits.py").read_text(encoding="utf-8") == named("digits.py")
    single, sweep = (run(line) for line in training.splitlines())
    assert re.search(r"^run [0-9a-f]{32}$", single, re.MULTILINE)
    assert "2 done" in sweep
