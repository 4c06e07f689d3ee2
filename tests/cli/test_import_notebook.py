"""`runback import`: what it writes, says and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FIT = """\
from keras.models import Sequential
model = Sequential()
model.compile(loss='mse')
model.fit(x, y, epochs=3)"""


def written(folder: Path, *cells: str, name: str = "n.ipynb", **facts: object) -> Path:
    content = {"cells": [{"cell_type": "code", "source": cell} for cell in cells], "nbformat": 4, **facts}
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder / name


def run_import(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "importtime", "-m", "runback", "import", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def refused(folder: Path, *arguments: str) -> str:
    """Return the only line that a refused import prints."""
    done = run_import(folder, *arguments)
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    return line


def test_a_notebook_becomes_a_script_beside_it_and_stays_as_it_was(tmp_path) -> None:
    notebook = written(tmp_path, "x = y = [1.0, 2.0]\nEPOCHS = 25", FIT.replace("epochs=3", "epochs=EPOCHS"))
    before = notebook.read_bytes()
    done = run_import(tmp_path, "n.ipynb")
    assert done.returncode == 0, done.stderr
    assert notebook.read_bytes() == before
    lines = done.stdout.splitlines()
    assert lines[0] == "train.py: the task of n.ipynb, 2 cells of code; its objective is loss"
    assert lines[1] == "parameters: epochs: int = 25"
    assert "callbacks=[runback.keras.Callback(run)]" in (tmp_path / "train.py").read_text("utf-8")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"keras", "tensorflow", "mlflow", "optuna"}


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_already_is_never_overwritten(tmp_path, kind) -> None:
    written(tmp_path, FIT)
    output = tmp_path / "own.py"
    match kind:
        case "file":
            output.write_text("mine")
        case "folder":
            output.mkdir()
        case "link":
            output.symlink_to(tmp_path / "elsewhere.py")
    line = refused(tmp_path, "n.ipynb", "--output", "own.py")
    assert line == "runback: 'own.py' is there already: name another script, with --output"
    assert not (tmp_path / "elsewhere.py").exists()
    assert kind != "file" or output.read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a file .ipynb, of JSON in UTF-8"),
        (b"{", "expected a file .ipynb, of JSON in UTF-8"),
        (b"\xff\xfe\x00", "expected a file .ipynb, of JSON in UTF-8"),
        (b"[" * 100_000, "expected a file .ipynb, of JSON in UTF-8"),
        (b"[]", "it has no cells"),
        (b'{"cells": 3}', "it has no cells"),
        (b'{"cells": []}', "has no code of Python in its cells"),
        (b'{"cells": [{"cell_type": "markdown", "source": "# text"}]}', "has no code of Python in its cells"),
        (b'{"cells": [{"cell_type": "code", "source": 5}]}', "is damaged: cell 1 has no text"),
        (b'{"cells": [null]}', "is damaged: cell 1 has no text"),
        (b'{"cells": [{"cell_type": "code", "source": "x = 1"}]}', "there is nothing to record"),
        (
            b'{"cells": [{"cell_type": "code", "source": "x"}], '
            b'"metadata": {"kernelspec": {"language": "R"}}}',
            "is written in 'R'; expected Python",
        ),
    ],
)
def test_a_strange_notebook_is_refused_in_one_line(tmp_path, content, message) -> None:
    (tmp_path / "n.ipynb").write_bytes(content)
    assert message in refused(tmp_path, "n.ipynb")
    assert not (tmp_path / "train.py").exists()


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["x = 1", "print(x)"], "no cell trains a Keras model by fit or fit_generator"),
        (["from sklearn.svm import SVC\nm = SVC()\nm.fit(x, y)"], "no cell trains a Keras model"),
        (["for batch in data:\n    model.train_on_batch(*batch)"], "run.epochs and run.log"),
        ([FIT.replace("model.fit", "for i in range(3):\n    model.fit")], "cell 1: the fit stands in a loop"),
        (["h = [m.fit(x, y, epochs=1) for m in models]"], "cell 1: the fit stands in a loop"),
        (["def go(m):\n    m.fit(x, y, epochs=1)"], "stands in a function, and no cell calls go"),
        (
            ["def go(m):\n    m.fit(x, y, epochs=1)", "go(1)\ngo(2)"],
            "stands in a function, and go is called several times",
        ),
        (
            ["for i in range(3):\n    go(i)", "def go(m):\n    m.fit(x, y, epochs=1)"],
            "is called several times",
        ),
        ([FIT, "await something()"], "cell 2 awaits something"),
    ],
)
def test_a_notebook_that_is_no_one_training_is_refused_in_one_line(tmp_path, cells, message) -> None:
    written(tmp_path, *cells)
    assert message in refused(tmp_path, "n.ipynb")
    assert not (tmp_path / "train.py").exists()


def test_what_is_no_script_or_no_notebook_is_refused(tmp_path) -> None:
    written(tmp_path, FIT)
    assert "--output must name a script, as train.py; got 'n.ipynb'" in refused(
        tmp_path, "n.ipynb", "--output", "n.ipynb"
    )
    assert "there is no notebook 'no.ipynb'" in refused(tmp_path, "no.ipynb")
    assert "there is no notebook '.'" in refused(tmp_path, ".")
    assert "cannot write 'no/a.py'" in refused(tmp_path, "n.ipynb", "--output", "no/a.py")
    assert "required: NOTEBOOK.ipynb" in refused(tmp_path)


def test_text_of_a_notebook_reaches_no_terminal_raw(tmp_path) -> None:
    written(tmp_path, "%echo \x1b[2J\x1b]0;title\x07", FIT, name="\x1b[31mn.ipynb")
    done = run_import(tmp_path, "\x1b[31mn.ipynb")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\x1b" not in (tmp_path / "train.py").read_text("utf-8")


def test_old_forms_of_notebooks_are_read_and_all_cells_are_counted(tmp_path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A title"]},
        {"cell_type": "code", "language": "python", "input": ["x = y = [1.0]\r\n", "%matplotlib inline"]},
        {"cell_type": "code", "language": "python", "input": FIT},
    ]
    content = {"worksheets": [{"cells": cells}], "nbformat": 3, "metadata": {"name": ""}}
    (tmp_path / "n.ipynb").write_text(json.dumps(content), encoding="utf-8-sig")
    done = run_import(tmp_path, "n.ipynb")
    assert done.returncode == 0, done.stderr
    assert "  cell 2: %matplotlib inline: a magic of IPython" in done.stdout.splitlines()
    assert "    # cell 3\n" in (tmp_path / "train.py").read_text("utf-8")
