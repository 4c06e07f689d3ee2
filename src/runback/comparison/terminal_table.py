"""A table of runs on a terminal: as narrow as it gets, folded where that is still too wide."""

from dataclasses import replace

import pandas as pd
from rich.console import JustifyMethod
from rich.table import Table

from runback.comparison.cells import Column, text_columns
from runback.comparison.runs_table import RunTable
from runback.system.text.listing import first_lines
from runback.system.text.screen import UNLIMITED, Screen

SHOWN = 40
"""Runs that are shown on a terminal unless it is said how many."""

ID_LENGTH = 8
"""Characters of a run ID."""

REASONS = 5
"""Failed runs whose reason is told below the table."""

SIZES = ("parameters", "model_bytes")

IN_ONE = "what varies"
"""The column that holds several."""


def show(table: RunTable) -> None:
    """Print the table, how many runs there are besides, and why runs failed."""
    console = Screen()
    columns = _condensed(table) if table.is_default else text_columns(table)
    drawn = _draw(columns)
    unlimited = console.options.update(width=UNLIMITED)
    if table.varying and console.measure(drawn, options=unlimited).maximum > console.width:
        drawn = _draw(_in_one(columns, [*table.varying, *SIZES]))
    console.print(drawn)
    part = "" if len(table.rows) == table.of else f"{len(table.rows):,} of "
    console.say(f"{part}{table.of:,} runs, ordered by {table.by}")
    if table.is_default:
        for line in _reasons(table.rows):
            console.say(line)


def _draw(columns: list[Column]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        longest = max(map(len, column.cells), default=0)
        head = column.head if len(column.head) <= longest else column.head.replace("_", "_\n")
        justify: JustifyMethod = "right" if column.is_number else "left"
        table.add_column(head, justify=justify, no_wrap=column.name != IN_ONE, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table


def _in_one(columns: list[Column], names: list[str]) -> list[Column]:
    """Return the columns with those of these names in one, the last."""
    several = [column for column in columns if column.name in names]
    cells = [
        " ".join(f"{column.head}={cell}" for column, cell in zip(several, row, strict=True) if cell)
        for row in zip(*(column.cells for column in several), strict=True)
    ]
    others = [column for column in columns if column not in several]
    return [*others, Column(IN_ONE, IN_ONE, cells, is_number=False)]


def _condensed(table: RunTable) -> list[Column]:
    """Return the columns without sizes that are the same everywhere, with short IDs and statuses."""
    rows = table.rows
    columns = {column.name: column for column in text_columns(table)}
    columns["run"] = replace(columns["run"], cells=[run[:ID_LENGTH] for run in rows["run"]])
    states = run_states(rows)
    columns["status"] = replace(columns["status"], cells=states)
    left_out = {"failure", "reason", *(["status"] if set(states) == {"finished"} else [])}
    left_out |= {name for name in SIZES if name in columns and len(set(columns[name].cells)) == 1}
    return [column for name, column in columns.items() if name not in left_out]


def run_states(rows: pd.DataFrame) -> list[str]:
    """Return finished, running, paused, pruned, stopped, or failed with the kind of the failure."""
    outcomes = rows.reindex(columns=["status", "failure", "reason"]).astype(object).fillna("")
    return [_state(*facts) for facts in outcomes.itertuples(index=False)]


def _state(status: str, failure: str, reason: str) -> str:
    if status == "KILLED":
        return "pruned" if reason.startswith("pruned") else "stopped"
    if status == "SCHEDULED":
        return "paused"
    return f"failed: {failure}" if status == "FAILED" and failure else status.lower()


def _reasons(rows: pd.DataFrame) -> list[str]:
    """Return why runs failed, a line each."""
    failed = rows[rows["status"] == "FAILED"].reindex(columns=["run", "reason"]).dropna()
    lines = [f"{run[:ID_LENGTH]} failed: {reason}" for run, reason in failed.itertuples(index=False)]
    return first_lines(lines, REASONS, "that failed")
