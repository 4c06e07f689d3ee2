"""The README is true: its files are written, its commands run, its tables hold what there is.

Commands run as they are written, with what a comment above their block adds to make them short. All of them
run in one process (see `Project.run_many`), in a project that has the Makefile and the README's files.
"""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hydra_plugins.runback_sweeper.config import PRUNERS, SAMPLERS
from runback.cli.command_line import VERBS
from runback.sweeping.sweep_settings import SweeperSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SAID = re.compile(
    r"^(WARNING: All log messages|[IE]0000 |not compared with the champion: ).*\n", re.MULTILINE
)
"""What TensorFlow says of the machine where a script imports it, and `promote` of runs without answers."""

FENCE = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the comment above it says: `test adds`, `test replaces` or `not run`."""

    language: str
    text: str
    told: str = ""
    says: str = ""

    @property
    def commands(self) -> list[str]:
        """The command lines, without comments; a backslash continues a line."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [re.sub(r"\s{2,}#.*", "", line) for line in lines if line and not line.startswith("#")]

    @property
    def file(self) -> str:
        """The path that the comment at the top of a file names."""
        return re.search(r"^# ([\w/]+\.\w+)$", self.text, re.MULTILINE)[1]


def blocks() -> list[Block]:
    found = []
    for comment, language, text in FENCE.findall(README):
        told, _, says = comment.partition(": ")
        found.append(Block(language, text, told, says))
    return found


def commands(tool: str = "runback") -> list[tuple[str, str]]:
    """Return the command lines that start `tool`, and what the test adds to each, in their order."""
    runs = [block for block in blocks() if block.language == "sh" and block.told in ("", "test adds")]
    found = [(command, block.says) for block in runs for command in block.commands]
    is_python = [(command.startswith("python "), command, adds) for command, adds in found]
    return [(command, adds) for python, command, adds in is_python if python == (tool == "python")]


@pytest.fixture(scope="module")
def project(tmp_path_factory, make_project):
    """Return a project with this repository's Makefile, the README's files, and the data that it names."""
    project = make_project(tmp_path_factory.mktemp("readme"))
    for name in ("conf", "sweeps"):
        (project.folder / name).unlink()
        shutil.copytree(ROOT / name, project.folder / name)
    for block in blocks():
        if block.language != "sh":
            (project.folder / block.file).write_text(block.text)
    for name in ("Makefile", "uv.lock"):
        shutil.copy(ROOT / name, project.folder)
    write_images(project.folder)
    subprocess.run([sys.executable, "-c", MAKE_WEIGHTS], cwd=project.folder, check=True, capture_output=True)
    (project.folder / ".venv").mkdir()
    (project.folder / ".venv" / ".synced").touch()
    return project


MAKE_WEIGHTS = """
import keras

options = {"weights": None, "include_top": False, "input_shape": (32, 32, 3), "alpha": 0.35}
keras.applications.MobileNetV2(**options).save_weights("mobilenet.weights.h5")
"""
"""Writes what the README calls mobilenet.weights.h5: weights of a smaller network, at random."""


def write_images(folder: Path) -> None:
    """Write what the README calls flowers, birds.parquet and data/cifar10: noise, in their form."""
    images = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    encoded = []
    for number, image in enumerate(images):
        path = folder / "flowers" / ("daisy", "tulip")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        encoded.append(path.read_bytes())
    labels = [number % 10 for number in range(200)]
    pq.write_table(pa.table({"image": encoded, "label": labels}), folder / "birds.parquet")
    (folder / "data" / "cifar10").mkdir(parents=True)
    for split in ("train", "test"):
        table = pa.table({"img": encoded, "label": labels})
        pq.write_table(table, folder / "data" / "cifar10" / f"{split}.parquet")


@dataclass(frozen=True)
class Told:
    """A command's exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def told(project) -> dict[str, Told]:
    """Run all commands: sweeps and trainings side by side, then what needs their output."""
    lines = [command for command, _ in commands()]
    last = [line for line in lines if re.search(r"\$\(|best:|best\.zip|doctor|clean|compare", line)]
    last.sort(key=lambda line: "evaluate" in line)  # it takes any number of threads, which then stay
    sweeps = [line for line in lines if line not in last and re.search(r"^\S+ (best|sweep)|--multirun", line)]
    trainings = [line for line in lines if line not in [*sweeps, *last]]
    with ThreadPoolExecutor() as pool:
        known, trained = pool.map(lambda some: run(project, some), (sweeps, trainings))
    return known | trained | run(project, last, known)


def run(project, lines: list[str], known: dict[str, Told] | None = None) -> dict[str, Told]:
    """Run these command lines; `$(COMMAND)` becomes what the known COMMAND printed."""
    env: dict[str, str] = {}
    asked: list[list[str]] = []
    for line in lines:
        words = shlex.split(re.sub(r"\$\((.*?)\)", lambda found: known[found[1]].out.strip(), line))
        while re.match(r"[A-Z0-9_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            env[name] = value
        asked.append(as_runback(project, words, shlex.split(dict(commands())[line])))
    results = project.run_many(*asked, **env)
    return {line: Told(*result) for line, result in zip(lines, results, strict=True)}


def as_runback(project, words: list[str], adds: list[str]) -> list[str]:
    """Return the arguments that `runback` gets, with `adds` where something is trained."""
    if words[0] == "make":
        words = planned(project, words[1:])
    assert words[0] == "runback"
    return [*words[1:], *(adds if words[1] in ("train", "sweep") else [])]


def planned(project, arguments: list[str]) -> list[str]:
    """Return what make would run."""
    outer = ("MAKEFLAGS", "MFLAGS", "SWEEP", "RUN", "ARGS")  # of the make that may have started these tests
    env = {name: value for name, value in project.environment().items() if name not in outer}
    make = ["make", "--no-print-directory", "-n", *arguments]
    done = subprocess.run(make, cwd=project.folder, env=env, capture_output=True, text=True, check=True)
    words = shlex.split(done.stdout)
    assert words[:3] == [".venv/bin/python", "-m", "runback"], done.stdout
    return words[2:]


def test_every_block_is_a_file_or_runs_or_says_why_not():
    assert {block.language for block in blocks()} == {"sh", "python", "yaml", "toml"}
    for block in blocks():
        if block.language == "sh":
            assert block.told in ("", "test adds", "test replaces", "not run"), block
            assert bool(block.told) == bool(block.says), block
        else:
            assert block.text.startswith("# ")
            assert block.file
    assert sum(block.told == "not run" for block in blocks()) <= 2
    lines = [command for command, _ in commands()]
    assert len(set(lines)) == len(lines)


@pytest.mark.parametrize("command", [command for command, _ in commands()])
def test_every_command_works(command, told):
    assert told[command].code == 0, told[command].err
    assert told[command].out
    assert SAID.sub("", told[command].err) == ""


@pytest.mark.parametrize(("command", "adds"), commands("python"))
def test_the_app_is_swept(command, adds, project):
    words = [sys.executable, *shlex.split(command)[1:], *shlex.split(adds)]
    done = subprocess.run(
        words, cwd=project.folder, env=project.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert " done " in done.stdout


def test_the_notebooks_code_runs(told, project):
    folder = project.folder / "notebooks"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, project.folder / "look.py"],
        cwd=folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "optimizer.learning_rate" in done.stdout
    assert "Total params" in done.stdout


def test_what_a_run_is_said_to_record_is_what_it_records(told, project):
    paragraph = re.search(r"^- \*\*Artifacts\*\*:(.*?)(?=^- )", README, re.MULTILINE | re.DOTALL)[1]
    named = set(re.findall(r"`(\w+(?:\.\w+)+)`", paragraph))
    client = project.client()
    listed = [file for run in project.runs() for file in client.list_artifacts(run.info.run_id)]
    assert {file.path for file in listed if not file.is_dir} == named
    paragraph = re.search(r"^- \*\*The record\*\*(.*?)(?=^- )", README, re.MULTILINE | re.DOTALL)[1]
    kept = [file for run in project.runs() for file in client.list_artifacts(run.info.run_id, "record")]
    assert {file.path.removeprefix("record/") for file in kept} <= set(re.findall(r"`(\S+)`", paragraph))
    assert {file.path for file in kept} >= {"record/record.json", "record/result.json", "record/uv.lock"}
    evaluated = next(run for run in project.runs() if "test_accuracy" in run.data.metrics)
    epoch = "loss accuracy val_loss val_accuracy learning_rate epoch_seconds images_per_second test_accuracy"
    assert set(epoch.split()) <= evaluated.data.metrics.keys()
    assert all(name in README for name in epoch.split())
    for name in ("model.name", "optimizer.learning_rate"):
        assert f"`{name}`" in README
        assert name in evaluated.data.params


def test_what_is_said_to_be_written_is_where_it_is_said(told, project):
    folders = re.findall(r"^\| `(mlruns/\S*)` \|", README, re.MULTILINE)
    assert len(folders) == 5
    for folder in folders:
        assert list(project.folder.glob(re.sub(r"[A-Z]{3,}", "*", folder))), folder
    assert list(project.folder.glob("mlruns/runs/*/metrics.jsonl"))
    assert (project.folder / "mlruns" / "sweeps" / "mine" / "study.db").exists()


def row_names(head: str) -> list[str]:
    """Return the names in the first column of the table with this head."""
    table = README.partition(f"| {head} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([^`]*)`", table, re.MULTILINE)


def test_the_table_of_commands_holds_them_all():
    named = [name.split()[1] for name in row_names("command")]
    assert list(dict.fromkeys(named)) == list(VERBS)


def test_the_table_of_knobs_names_knobs():
    named = row_names("`hydra.sweeper.`")
    assert len(named) == 17
    assert set(named) <= {field.name for field in fields(SweeperSettings)}


def test_all_samplers_and_pruners_are_named():
    assert names_behind("hydra/sweeper/sampler=") == {*SAMPLERS}
    assert names_behind("hydra/sweeper/pruner=") == {"none", *PRUNERS}


def names_behind(key: str) -> set[str]:
    """Return the names in the sentence that begins with a key."""
    return set(re.findall(r"`([a-z]\w+)`", re.search(rf"`{key}` (.*?)\.\s", README, re.DOTALL)[1]))


def test_the_make_targets_that_it_names_exist():
    inline = re.findall(r"`make (?:PYTHON=\S+ )?([a-z]+)`", README)
    assert {"sweep", "test"} <= set(inline)
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in inline)


def test_the_files_that_it_names_exist():
    links = re.findall(r"\]\(([\w/.]+)\)", README)
    inline = re.findall(r"`((?:conf|sweeps|tests)/[\w/.]*)`", README)
    shown = [block.file for block in blocks() if block.language != "sh"]
    placeholders = {name for name in inline if "NAME" in name}
    for name in {*links, *inline} - {*shown} - placeholders:
        assert (ROOT / name).exists(), name


@contextlib.contextmanager
def shell(project, script: str, log_name: str = "shell.log") -> Iterator[subprocess.Popen[str]]:
    """Run a script in bash, with the environment's programs on PATH; end all of it behind the body."""
    environment = project.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with (project.folder / log_name).open("w") as log:
        process = subprocess.Popen(
            ["bash", "-e", "-c", script],
            cwd=project.folder,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_it_answers(server: subprocess.Popen[str], url: str, log: Path) -> None:
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
            return
        time.sleep(0.2)
    pytest.fail(log.read_text())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_model_is_served_and_answers(told, project):
    serve, ask = [block for block in blocks() if block.told == "test replaces"]
    written, port = serve.says.split()[0], str(free_port())
    assert written in serve.text
    assert written in ask.text
    with shell(project, serve.text.replace(written, port)) as server:
        wait_until_it_answers(server, f"http://127.0.0.1:{port}/ping", project.folder / "shell.log")
        with shell(project, ask.text.replace(written, port), "answer.log") as asking:
            assert asking.wait(60) == 0
    predictions = json.loads((project.folder / "answer.log").read_text())["predictions"]
    assert len(predictions) == 2
    for prediction in predictions:
        assert list(prediction) == re.findall(r'"(\w+)": ', re.search(r'`({"class".*?})`', README)[1])[:3]
        assert sum(prediction["probabilities"].values()) == pytest.approx(1, abs=1e-5)
