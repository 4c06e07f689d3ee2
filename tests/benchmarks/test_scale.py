"""docs/scale.md has the rows that the benchmark prints; a replay by many workers counts what it should."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

import scale
from replay.contenders import Task, quiet
from replay.curve_model import CurveModel
from replay.curve_table import curve_table
from replay.many_workers import RUNBACK
from replay.virtual_engine import Costs

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")

STORES = ("SQLite", "PostgreSQL 15")


def first_cells(name: str, columns: int = 1) -> list[tuple[str, ...]]:
    """Return the first cells of the rows of a table of the page."""
    [table] = re.findall(rf"<!-- {name} -->\n((?:\|.*\n)+)", PAGE)
    rows = [line.strip("| \n").split(" | ") for line in table.splitlines()[2:]]
    assert all(len(row) == len(table.splitlines()[0].strip("| ").split(" | ")) for row in rows)
    return [tuple(row[:columns]) for row in rows]


def test_the_page_has_a_row_for_each_number_that_is_measured():
    assert first_cells("study", 2) == [(one, f"{n:,}") for one in STORES for n in scale.RUNNING]
    assert first_cells("proposals") == [(f"{n:,}",) for n in scale.FINISHED]
    assert first_cells("tracking") == [(one,) for one in STORES]
    assert first_cells("workers") == [(f"{n:,}",) for n in scale.WORKERS]


@pytest.fixture(scope="module")
def task(curves):
    quiet()
    table = curve_table(curves())
    return Task(
        CurveModel(table), table.space, table.n_epochs, Costs(1.0, 0.1), 500.0, None, 4, table.level, ()
    )


def test_a_search_ends_at_the_level_and_its_slots_are_nearly_always_in_use(task):
    engine = RUNBACK.played(task, 0, ends=True)
    reached = [one.time for one in engine.history if one.reported >= task.level]
    assert engine.ended == min(reached)
    assert 0.9 < engine.trained / (4 * engine.ended) <= 1


def test_slots_wait_for_a_coordinator_that_takes_its_time(task):
    slow = replace(task, costs=replace(task.costs, coordination=lambda _: (0.5, 2.0)))
    fast, slowed = (RUNBACK.played(one, 0, ends=True) for one in (task, slow))
    assert slowed.trained / slowed.ended < 0.9 * fast.trained / fast.ended


def test_a_search_that_does_not_come_to_the_level_ends_with_its_time(task):
    engine = RUNBACK.played(replace(task, level=2.0, seconds=50.0), 0, ends=True)
    assert 50.0 <= engine.ended < 60.0


@pytest.mark.slow
def test_the_benchmark_prints_its_tables(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["scale.py", "--quick", "--repeats=2"])
    scale.main()
    printed = capsys.readouterr().out
    for name in ("study", "proposals", "tracking", "workers"):
        assert re.search(rf"<!-- {name} -->\n\|.*\|\n\|[ -|]*\|\n\| \w", printed), printed
