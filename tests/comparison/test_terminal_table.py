import pandas as pd
import pytest

from runback.comparison import terminal_table
from runback.comparison.run_frames import RunFrame
from runback.comparison.runs_table import make_table


def shown(runs, capsys, monkeypatch, width=100, **options) -> list[str]:
    """Show runs in so many columns; return the lines."""
    count = len(next(iter(runs.values())))
    known = {"run": [f"{number:x}" * 32 for number in range(count)], "status": ["FINISHED"] * count}
    rows = pd.DataFrame({**known, "trial": range(count), **runs})
    causes = [name for name in runs if "." in name]
    monkeypatch.setenv("COLUMNS", str(width))
    terminal_table.show(make_table(RunFrame(rows, causes, ["val_accuracy"]), **options))
    return capsys.readouterr().out.splitlines()


def test_sizes_and_statuses_are_shown_where_they_tell_runs_apart(capsys, monkeypatch):
    columns = {"val_accuracy": [0.5, 0.6], "parameters": [7, 7], "model_bytes": [1000, 1001]}
    lines = shown(columns, capsys, monkeypatch)
    assert [line.split() for line in lines] == [
        ["val_"],
        ["run", "trial", "accuracy"],
        ["11111111", "1", "0.6000"],
        ["00000000", "0", "0.5000"],
        ["2", "runs,", "ordered", "by", "val_accuracy"],
    ]
    lines = shown({**columns, "parameters": [7, 8], "status": ["FINISHED", "RUNNING"]}, capsys, monkeypatch)
    assert lines[-2].split() == ["11111111", "1", "0.6000", "8", "running"]


def test_how_runs_ended_is_one_word_and_why_they_failed_stands_below(capsys, monkeypatch):
    columns = {
        "status": ["FINISHED", "KILLED", "KILLED", "FAILED", "FAILED", "RUNNING"],
        "reason": [None, "pruned after epoch 2", "interrupted: Ctrl-C", "it was killed", "a \x1b bug", None],
        "failure": [None, None, None, "lost", None, None],
        "val_accuracy": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
    }
    lines = shown(columns, capsys, monkeypatch)
    states = [" ".join(line.split()[3:]) for line in lines[2:8]]
    assert states == ["finished", "pruned", "stopped", "failed: lost", "failed", "running"]
    assert lines[8:] == [
        "6 runs, ordered by val_accuracy",
        "33333333 failed: it was killed",
        "44444444 failed: a \\x1b bug",
    ]


def test_many_failures_are_counted(capsys, monkeypatch):
    columns = {"status": ["FAILED"] * 8, "reason": ["x"] * 8, "val_accuracy": [0.5] * 8}
    lines = shown(columns, capsys, monkeypatch, top=7)
    assert "7 of 8 runs, ordered by val_accuracy" in lines
    assert lines[-1] == "and 2 more that failed"


@pytest.mark.parametrize(("width", "is_wide"), [(60, False), (100, True)])
def test_what_varies_is_folded_where_its_columns_do_not_fit(capsys, monkeypatch, width, is_wide):
    knobs = {f"model.a_rather_long_name_{number}": [number, 10.5] for number in range(8)}
    lines = shown({"val_accuracy": [0.5, 0.6], **knobs}, capsys, monkeypatch, width)
    assert max(map(len, lines)) <= width
    assert ("what varies" in lines[0] + lines[1]) != is_wide
    text = " ".join(line.strip() for line in lines)
    assert ("a_rather_long_name_7=10.5" in text) != is_wide


def test_chosen_columns_are_shown_whole(capsys, monkeypatch):
    lines = shown({"val_accuracy": [0.5]}, capsys, monkeypatch, columns="run,status")
    assert lines[1].split() == ["0" * 32, "FINISHED"]
