"""`runback compare`: the runs of a real sweep in one table."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys

import pytest

SWEEP = """# @package _global_
# A sweep for tests.
#   runback sweep tiny
defaults:
  - override /data: synthetic
  - override /hydra/sweeper/sampler: grid
model:
  widths: [4, 4]
  dense_width: 8
training:
  epochs: 3
  patience: 1
hydra:
  sweeper:
    n_workers: 2
    params:
      optimizer: choice(sgd, adam)
      optimizer.learning_rate: choice(0.00001, 0.01)
"""

ASKED = {
    "text": "--sweep tiny",
    "json": "--sweep tiny --json",
    "csv": "--sweep tiny --csv",
    "file": "--sweep tiny --csv tiny.csv",
    "page": "--sweep tiny --html tiny.html",
    "chosen": "--sweep tiny --sort learning_rate --top 3 --columns trial,learning_rate,optimizer --csv=-",
    "unknown sweep": "--sweep tini",
    "unfinished sweep": "--sweep begun",
    "unknown run": "0123456 0123457 0123458",
    "unknown column": "--sweep tiny --columns trial,learning_rat",
    "unknown order": "--sweep tiny --sort val_acuracy",
    "no run": "",
    "both": "--sweep tiny 0123456",
    "top": "--sweep tiny --top 0",
    "folder": "--sweep tiny --csv no/such/folder.csv",
    "a bundle": "one.zip --json",
    "a run as a file": "--csv 0123456",
}


@pytest.fixture(scope="module")
def swept(module_project):
    """Sweep, and begin another sweep; return the project and the best trial's run ID."""
    module_project.own_sweeps(tiny=SWEEP)
    done = module_project.run("sweep", "tiny")
    assert done.returncode == 0, done.stderr
    tags = {"runback.sweep": "begun", "runback.kind": "train", "runback.trial": "0"}
    client = module_project.client()
    client.create_run(client.get_experiment_by_name("runback").experiment_id, tags=tags)
    [(code, best, _)] = module_project.run_many(["best", "tiny"])
    assert code == 0
    return module_project, best.strip()


@pytest.fixture(scope="module")
def told(swept):
    """Ask all that these tests are about, in one process; return what was printed."""
    project, best = swept
    runs = [run.info.run_id for run in project.runs() if run.data.tags["runback.kind"] == "train"]
    [parent] = [
        run.info.run_id
        for run in project.runs()
        if run.data.tags["runback.kind"] == "sweep" and run.info.run_name == "tiny"
    ]
    asked = {name: arguments.split() for name, arguments in ASKED.items()}
    asked |= {"one run": [best[:8], "--json"], "three runs": ["best:tiny", runs[0], runs[1], "--json"]}
    asked |= {"a sweep's run": [parent]}
    results = project.run_many(*(["compare", *arguments] for arguments in asked.values()))
    return dict(zip(asked, results, strict=True))


def printed(result) -> str:
    code, out, err = result
    assert (code, err) == (0, "")
    return out


def test_the_best_trial_comes_first_and_what_varies_is_shown(told, swept):
    _, best = swept
    facts = json.loads(printed(told["json"]))
    assert facts["varying"] == ["optimizer.learning_rate", "optimizer.name"]
    assert (facts["sorted_by"], facts["of"], len(facts["runs"])) == ("best_val_accuracy", 4, 4)
    assert facts["runs"][0]["run"] == best
    values = [run["best_val_accuracy"] for run in facts["runs"]]
    assert values == sorted(values, reverse=True)
    assert sorted(run["trial"] for run in facts["runs"]) == [0, 1, 2, 3]
    assert {run["status"] for run in facts["runs"]} == {"FINISHED"}


def test_results_are_those_of_the_kept_epoch_with_their_interval(told, swept):
    project, _ = swept
    for run in json.loads(printed(told["json"]))["runs"]:
        history = project.client().get_metric_history(run["run"], "val_accuracy")
        assert run["best_val_accuracy"] == max(point.value for point in history)
        low, high = run["best_val_accuracy_low"], run["best_val_accuracy_high"]
        assert 0 <= low <= run["best_val_accuracy"] <= high <= 1
        assert run["parameters"] > 0
        assert run["model_bytes"] > 1000
        assert run["duration"] > 0


def test_without_a_terminal_the_table_is_plain_and_whole(told, swept):
    _, best = swept
    head, *lines = printed(told["text"]).splitlines()
    names = "run trial best_val_accuracy 95 % interval val_loss learning_rate optimizer parameters"
    assert head.split() == [*names.split(), "model_bytes", "duration", "status"]
    assert lines[0].startswith(f"{best}  ")
    assert len(lines) == 4
    assert not any(line != line.rstrip() or "…" in line or "\x1b" in line for line in [head, *lines])


def test_csv_and_pages_are_printed_or_written(told, swept):
    project, best = swept
    rows = list(csv.DictReader(io.StringIO(printed(told["csv"]))))
    assert rows[0]["run"] == best
    assert {"optimizer.name", "best_val_accuracy_low"} <= rows[0].keys()
    assert printed(told["file"]) == ""
    assert (project.folder / "tiny.csv").read_text() == printed(told["csv"])
    assert printed(told["page"]) == ""
    page = (project.folder / "tiny.html").read_text()
    assert f"<td>{best}" in page
    assert "http" not in page


def test_order_number_and_columns_can_be_chosen(told):
    rows = list(csv.reader(io.StringIO(printed(told["chosen"]))))
    assert rows[0] == ["trial", "optimizer.learning_rate", "optimizer.name"]
    assert [row[1] for row in rows[1:]] == ["1e-05", "1e-05", "0.01"]


def test_one_run_and_several_are_a_table_too(told, swept):
    _, best = swept
    [run] = json.loads(printed(told["one run"]))["runs"]
    assert run["run"] == best
    several = json.loads(printed(told["three runs"]))["runs"]
    assert best in [run["run"] for run in several]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("unknown sweep", "unknown sweep 'tini': did you mean 'tiny'?"),
        ("unfinished sweep", "sweep begun has no finished trial"),
        ("unknown run", "no run '0123456'"),
        ("unknown column", "unknown column 'learning_rat': did you mean 'learning_rate'?"),
        ("unknown order", "unknown column 'val_acuracy': did you mean 'val_accuracy'?"),
        ("no run", "expected either RUNs or --sweep NAME"),
        ("both", "expected either RUNs or --sweep NAME"),
        ("top", "--top must be at least 1; got 0"),
        ("folder", "cannot write no/such/folder.csv"),
        ("a bundle", "one.zip is a file"),
        ("a run as a file", "put the runs before --csv"),
        ("a sweep's run", "is a whole sweep: name its trials, or all with --sweep tiny"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(told, name, wanted):
    code, out, errors = told[name]
    assert (code, out) == (2, "")
    [line] = errors.splitlines()
    assert wanted in line


def test_on_a_terminal_it_fits_into_100_columns(swept):
    project, best = swept
    shown = on_terminal(project, "--sweep", "tiny", columns=100)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    assert best[:8] in shown
    assert "…" not in shown
    assert lines[-1] == "4 runs, ordered by best_val_accuracy"
    few = ("--columns", "run,trial,learning_rate,optimizer")
    narrow = on_terminal(project, "--sweep", "tiny", *few, columns=60)
    assert "what varies" in narrow
    assert "learning_rate=0.01" in narrow
    assert "optimizer=adam" in narrow


def on_terminal(project, *arguments: str, columns: int) -> str:
    """Run a comparison on a terminal and return what that got, without colours."""
    ours, theirs = pty.openpty()
    environment = project.environment(COLUMNS=str(columns), TERM="xterm")
    process = subprocess.Popen(
        [sys.executable, "-m", "runback", "compare", *arguments],
        cwd=project.folder,
        env=environment,
        stdout=theirs,
    )
    os.close(theirs)
    found = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while chunk := terminal.read(4096):
                found += chunk
        except OSError:  # how Linux says that the other end is closed
            pass
    assert process.wait() == 0
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", found.decode()).splitlines()
    return "\n".join(line.rstrip() for line in lines)


def test_neither_tensorflow_nor_mlflow_is_imported(swept):
    project, _ = swept
    script = (
        "import sys\n"
        "from runback.__main__ import main\n"
        "assert main(['compare', '--sweep', 'tiny']) == 0\n"
        "assert not {'tensorflow', 'keras', 'mlflow', 'hydra'} & set(sys.modules)\n"
    )
    done = project.fresh_python("-c", script)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(swept):
    project, _ = swept
    command = [sys.executable, "-m", "runback", "compare", "--sweep", "tiny"]
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        command,
        cwd=project.folder,
        env=project.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
