"""Searches by each contender for real: tiny ones come to their end, are kept, and are not run again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peers import main, rotated

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers.py"
TINY = ("--data=digits", "--images=100", "--validation=40", "--trials=2", "--epochs=1", "--seeds=1")
TASK = {"data": "digits", "images": 100, "validation": 40, "trials": 2, "epochs": 1, "workers": 2}
DONE = {
    "task": {**TASK, "seconds": None, "precision": "auto"},
    "contender": "optuna",
    "seed": 0,
    "wall": 50.0,
    "reports": [[20.0, 0.1], [40.0, 0.2]],
}

pytestmark = pytest.mark.timeout(900)  # many processes, each of which imports TensorFlow


def peers(elsewhere, *arguments):
    """Run the benchmark from a folder that is no project, with a store of the user's own named."""
    return subprocess.run(
        [sys.executable, str(PEERS), *map(str, arguments)],
        cwd=elsewhere,
        env={**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///nowhere.db"},
        capture_output=True,
        text=True,
        check=False,
    )


def rows(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def test_tiny_searches_come_to_their_end_and_are_not_run_again(tmp_path):
    file = tmp_path / "results.jsonl"
    chosen = [f"--contender={name}" for name in ("optuna", "runback")]
    done = peers(tmp_path, *TINY, *chosen, f"--results={file}", "--level=0.01")
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]
    assert [row["contender"] for row in rows(file)] == ["optuna", "runback"]
    for row in rows(file):
        assert len(row["reports"]) == 2  # epochs: of two trials one each
        assert all(0 < seconds <= row["wall"] and 0 <= value <= 1 for seconds, value in row["reports"])
    again = peers(tmp_path, *TINY, *chosen, f"--results={file}", "--level=1.01")
    assert "2 of 2 searches are in" in again.stdout
    assert "runback against optuna, n = 1" in again.stdout
    assert again.stdout.count(" never") == 4  # two seeds, two medians


def test_keras_tuner_searches_in_an_environment_of_its_own(tmp_path):
    file = tmp_path / "results.jsonl"
    done = peers(tmp_path, *TINY, "--contender=keras-tuner", f"--results={file}")
    if "pip cannot install" in done.stderr:
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        pytest.skip("PyPI is out of reach")
    assert (done.returncode, done.stderr) == (0, "")
    assert [(row["contender"], row["seed"]) for row in rows(file)] == [("keras-tuner", 0)]
    assert 1 <= len(rows(file)[0]["reports"]) <= 2
    assert "keras-tuner, n = 1" in done.stdout


def test_contenders_take_turns_in_being_first():
    names = ["runback", "optuna", "keras-tuner"]
    orders = [rotated(names, seed) for seed in range(3)]
    assert [order[0] for order in orders] == names
    assert all(sorted(order) == sorted(names) for order in orders)
    assert rotated(names, 3) == names


def refused(monkeypatch, capsys, *arguments):
    """Return what the benchmark says as it refuses to begin."""
    monkeypatch.setattr(sys, "argv", ["peers.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({**DONE, "task": {**DONE["task"], "trials": 3}}, "it is of another task"),
        ({**DONE, "task": {"trials": 3}}, "expected a search of this benchmark"),
        ({name: DONE[name] for name in ("task", "seed")}, "expected a search of this benchmark"),
        ({**DONE, "reports": 7}, "expected a search of this benchmark"),
        ([], "expected a search of this benchmark"),
    ],
)
def test_results_of_another_task_and_damaged_ones_are_refused_in_a_line(
    line, said, tmp_path, monkeypatch, capsys
):
    file = tmp_path / "results.jsonl"
    file.write_text(f"{json.dumps(DONE)}\n{json.dumps(line)}\n")
    message = refused(monkeypatch, capsys, *TINY, f"--results={file}")
    assert message.startswith(f"error: {file}, line 2: {said}")
    assert message.count("\n") == 1
    file.write_text(json.dumps(DONE)[:-9])
    assert "results.jsonl, line 1: expected" in refused(monkeypatch, capsys, *TINY, f"--results={file}")


@pytest.mark.parametrize("option", ["--seeds=0", "--images=3", "--seconds=0", "--contender=random"])
def test_what_cannot_be_searched_is_refused(option, monkeypatch, capsys):
    message = refused(monkeypatch, capsys, "--data=digits", option)
    assert "expected --s" in message or "invalid choice: 'random'" in message
