import json

import pandas as pd
import pytest

from runback.comparison.run_frames import RunFrame
from runback.comparison.runs_table import make_table
from runback.comparison.table_output import as_csv, as_html, as_json, as_text


@pytest.fixture
def table():
    rows = pd.DataFrame(
        {
            "run": ["a" * 32, "b" * 32],
            "trial": [0, 1],
            "status": ["FINISHED", "FAILED"],
            "reason": [None, "<b>\x1b[31mred"],
            "start": pd.to_datetime([0, 1000], unit="ms", utc=True),
            "duration": [65.0, float("nan")],
            "val_accuracy": [0.12345678901234567, None],
            "val_accuracy_low": [0.1, None],
            "val_accuracy_high": [0.2, None],
            "parameters": [1234567, 1],
            "model_bytes": pd.Series([1_234_567, None], dtype="Int64"),
            "model.width": [8, 16],
            "model.rate": [1 / 3, 1e-5],
        }
    )
    return make_table(
        RunFrame(
            rows, ["model.width", "model.rate"], ["val_accuracy", "val_accuracy_low", "val_accuracy_high"]
        )
    )


def test_text_is_short_and_does_nothing_to_a_terminal(table):
    head, first, second = as_text(table).splitlines()
    assert head.split()[:4] == ["run", "trial", "val_accuracy", "95"]
    assert first.split() == [
        *("a" * 32, "0", "0.1235", "0.100", "to", "0.200", "8", "0.333", "1,234,567", "1.23", "MB"),
        *("1", "min", "05", "s", "FINISHED"),
    ]
    assert second.split() == ["b" * 32, "1", "16", "1e-05", "1", "FAILED", "<b>\\x1b[31mred"]
    assert head.index("width") + len("width") == first.index(" 8 ") + 2


def test_csv_has_whole_names_and_all_digits(table):
    head, first, second = as_csv(table).splitlines()
    assert head.startswith("run,trial,val_accuracy,val_accuracy_low,val_accuracy_high,model.width,model.rate")
    assert float(first.split(",")[2]) == 0.12345678901234567
    assert second.startswith(f"{'b' * 32},1,,,,16,1e-05,1,,,FAILED")


def test_json_is_null_where_there_is_nothing(table):
    facts = json.loads(as_json(table))
    assert facts["runs"][0]["val_accuracy"] == 0.12345678901234567
    assert facts["runs"][0]["reason"] is None
    assert facts["runs"][1]["val_accuracy"] is None
    assert facts["runs"][1]["model_bytes"] is None
    assert (facts["varying"], facts["of"]) == (["model.width", "model.rate"], 2)


def test_times_are_written_as_iso_8601(table):
    found = make_table(RunFrame(table.rows, [], []), columns="start")
    assert json.loads(as_json(found))["runs"][1] == {"start": "1970-01-01 00:00:01+00:00"}


def test_a_page_shows_texts_as_they_are(table):
    page = as_html(table, "<Sweep>")
    assert "<title>&lt;Sweep&gt;</title>" in page
    assert "<td>&lt;b&gt;\\x1b[31mred" in page
