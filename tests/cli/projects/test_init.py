"""`runback init` refuses in one line what it cannot make, and leaves what exists as it is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runback.classifier import packaged
from runback.cli.command_line import main
from runback.runs.tasks.task_source import SCRIPT_MODULE

ROOT = Path(__file__).parents[3]

TASK = """
import runback


@runback.task
def {name}(run: runback.Run, *, rate: float = 0.1, epochs: int = 2) -> float:
    return run.best("val_loss")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return an empty folder, as the working directory, in which every trace of a project is missing."""
    monkeypatch.delenv("RUNBACK_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, SCRIPT_MODULE, sys.modules.get(SCRIPT_MODULE, sys.modules["__main__"]))
    return tmp_path


def refused(capsys, *arguments):
    """Return the one line by which a command refuses."""
    assert main(["init", *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1), said
    return said.err


def tree(folder):
    return {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if "__pycache__" not in path.parts
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected the name of the project's folder"),
        ([""], "the project's name must be usable as a folder's name"),
        ([".."], "the project's name must be usable as a folder's name"),
        (["a/b"], "the project's name must be usable as a folder's name"),
        (["a\nb"], "the project's name must be a printable name"),
        (["x" * 201], "the project's name must be a name of at most 200 bytes"),
        (["one", "two"], "unrecognized arguments: two"),
        (["one", "--eject", "model"], "--eject GROUP stands alone"),
        (["--eject", "model"], "there is no project here"),
        (["taken"], "taken exists already"),
        (["link"], "link exists already"),
        (["new", "--script", "gone/train.py"], "there is no script 'gone/train.py'"),
        (["new", "--script", "gone.py:fit"], "there is no script 'gone.py:fit'"),
        (["new", "--script", "train.txt"], "--script must be a Python file of a plain name"),
        (["new", "--script", "tr'ain.py"], "--script must be a Python file of a plain name"),
        (["new", "--script", "$(x).py"], "--script must be a Python file of a plain name"),
        (["new", "--script", "numpy.py"], "a script numpy.py would hide the module numpy"),
        (["new", "--script", "random.py"], "a script random.py would hide the module random"),
        (["new", "--script", "plain.py"], "plain.py has no task: write @runback.task"),
        (["new", "--script", "two.py"], "two.py has 2 tasks, fit, train: name one, as two.py:fit"),
        (["new", "--script", "fine.py:other"], "has no task 'other': it has fit"),
        (["new", "--script", "broken.py"], "cannot import broken.py: ModuleNotFoundError: No module named"),
        (["new", "--script", "syntax.py"], "cannot import syntax.py: SyntaxError"),
        (["new", "--script", "ends.py"], "cannot import ends.py: SystemExit"),
        (["new", "--script", "unnamed.py"], "unnamed.py: nothing says whether a higher value is better"),
        (["new", "--script", "untyped.py"], "parameter rate has no type: write rate: float = 0.1"),
        (["new", "--script", "nothing.py"], "task fit returns nothing"),
        (["new", "--script", "needs.py"], "parameter path must have a default"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_one_line_and_leaves_nothing(folder, capsys, arguments, message):
    fit = TASK.format(name="fit")
    (folder / "taken").mkdir()
    (folder / "link").symlink_to(folder / "nowhere")
    scripts = {
        "plain": "x = 1\n",
        "fine": fit,
        "two": fit + TASK.format(name="train"),
        "broken": "import no_such_package\n" + fit,
        "syntax": "def f(:\n",
        "ends": "raise SystemExit(3)\n",
        "unnamed": fit.replace('run.best("val_loss")', "0.5"),
        "untyped": fit.replace("rate: float", "rate"),
        "nothing": fit.replace('return run.best("val_loss")', "pass"),
        "needs": fit.replace("rate: float = 0.1", "path: str"),
    }
    for name, text in scripts.items():
        (folder / f"{name}.py").write_text(text)
    before = tree(folder)
    assert message in refused(capsys, *arguments)
    assert tree(folder) == before


def test_a_folder_that_cannot_be_written_is_one_line(folder, capsys, monkeypatch):
    def denied(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", denied)
    assert "cannot write new: Permission denied" in refused(capsys, "new")
    assert tree(folder) == set()


def test_a_script_brings_what_lies_beside_it(folder, capsys):
    source = folder / "old work"
    (source / "parts").mkdir(parents=True)
    (source / "conf" / "group").mkdir(parents=True)
    (source / "conf" / "config.yaml").write_text("rate: 0.2\n")
    (source / "conf" / "group" / "one.yaml").write_text("{}\n")
    (source / "parts" / "__init__.py").write_text("")
    (source / "parts" / "deep.py").write_text("x = 1\n")
    (source / "unused.py").write_text("x = 1\n")
    (source / "my fit.py").write_text("import parts.deep\n" + TASK.format(name="fit"))
    before = tree(source)
    assert main(["init", "new", "--script", "old work/my fit.py:fit"]) == 0
    said = capsys.readouterr().out
    assert "made new, a project around my fit.py:fit: a copy\n" in said
    assert "with what lies beside it: conf, parts\n" in said
    assert tree(source) == before
    files = {path for path in tree(folder / "new") if (folder / "new" / path).is_file()}
    assert files == {
        *(".gitignore", "Makefile", "README.md", "pyproject.toml", "sweeps/quickstart.yaml"),
        *("my fit.py", "parts/__init__.py", "parts/deep.py", "conf/config.yaml", "conf/group/one.yaml"),
        "tests/test_project.py",
    }
    assert "SCRIPT ?= my fit.py:fit\n" in (folder / "new" / "Makefile").read_text()


def test_files_of_the_script_that_the_project_needs_too_are_refused(folder):
    source = folder / "tests"
    source.mkdir()
    (source / "__init__.py").write_text("")
    (source / "test_project.py").write_text("x = 1\n")
    (folder / "fit.py").write_text("import tests.test_project\n" + TASK.format(name="fit"))
    command = [sys.executable, "-m", "runback", "init", "new", "--script", "fit.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "tests/test_project.py is needed by the script" in done.stderr
    assert not (folder / "new").exists()


@pytest.mark.parametrize("name", ["digits", "My Digits", "runback", "mlflow", "ziffern-é", "-x"])
def test_a_name_of_a_folder_makes_the_name_of_a_project(folder, name, capsys):
    assert main(["init", "--", name] if name.startswith("-") else ["init", name]) == 0
    text = (folder / name / "pyproject.toml").read_text()
    assert re.search(r'^name = "[a-z0-9]+(-[a-z0-9]+)*"$', text, re.MULTILINE)
    assert 'name = "runback"' not in text
    assert 'name = "mlflow"' not in text


def test_every_group_can_be_copied_and_is_what_the_package_has(folder, capsys):
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    groups = packaged.groups()
    assert {"model", "optimizer", "data", "sweeps", "experiment"} <= set(groups)
    for group in groups:
        assert main(["init", "--eject", group]) == 0
        within = "sweeps" if group == "sweeps" else f"conf/{group}"
        copies = {path.name: path.read_bytes() for path in (folder / within).iterdir()}
        assert copies == {path.name: path.read_bytes() for path in (ROOT / within).glob("*.yaml")}
        assert within in capsys.readouterr().out
        assert "exists already, and nothing was copied" in refused(capsys, "--eject", group)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("modle", "unknown group 'modle': did you mean 'model'?"),
        ("../conf", "unknown group '..': expected one of augmentation, data"),
        ("", "unknown group '': expected one of augmentation, data"),
        ("model/deep", "unknown model 'deep': did you mean 'deep_cnn'?"),
        ("model/", "unknown model '': expected one of backbone, deep_cnn"),
        ("model/../data/digits", "unknown model '../data/digits': expected one of backbone, deep_cnn"),
    ],
)
def test_a_group_that_there_is_not_is_one_line(folder, capsys, group, message):
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    assert message in refused(capsys, "--eject", group)
    assert tree(folder) == {"pyproject.toml"}


def test_one_file_that_exists_keeps_the_others_from_being_copied(folder, capsys):
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "mine.yaml").write_text("a: 1\n")
    assert main(["init", "--eject", "model"]) == 0
    shutil.rmtree(folder / "conf" / "model")
    (folder / "conf" / "model").mkdir()
    (folder / "conf" / "model" / "deep_cnn.yaml").symlink_to("elsewhere")
    capsys.readouterr()
    assert "conf/model/deep_cnn.yaml exists already" in refused(capsys, "--eject", "model")
    assert [path.name for path in (folder / "conf" / "model").iterdir()] == ["deep_cnn.yaml"]


def test_one_choice_is_copied_beside_what_is_there(folder, capsys):
    assert main(["init", "mine"]) == 0
    project = folder / "mine"
    os.chdir(project)
    capsys.readouterr()
    message = "sweeps/quickstart.yaml exists already, and nothing was copied: move it away, or copy one other"
    assert f"{message}, as --eject sweeps/cifar10_cpu\n" in refused(capsys, "--eject", "sweeps")
    for name in ("sweeps/cifar10_cpu", "model/deep_cnn"):
        assert main(["init", "--eject", name]) == 0
    assert {path.name for path in (project / "sweeps").iterdir()} == {"quickstart.yaml", "cifar10_cpu.yaml"}
    assert [path.name for path in (project / "conf" / "model").iterdir()] == ["deep_cnn.yaml"]
    capsys.readouterr()
    assert refused(capsys, "--eject", "model/deep_cnn").endswith("nothing was copied: move it away\n")


def test_a_file_in_the_place_of_a_folder_is_one_line(folder, capsys):
    (folder / "pyproject.toml").write_text("[tool.runback]\n")
    (folder / "conf").write_text("")
    assert "cannot write conf/model/" in refused(capsys, "--eject", "model")
