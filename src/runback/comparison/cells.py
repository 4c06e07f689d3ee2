"""The texts in the cells of a table of runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from runback.comparison.runs_table import RunTable
from runback.system.text.escape import for_terminal
from runback.system.text.formatting import duration, short_names, short_value

LOW, HIGH = "_low", "_high"


@dataclass(frozen=True)
class Column:
    """A column as text: its head, and a cell for each row; numbers stand to the right."""

    name: str
    head: str
    cells: list[str]
    is_number: bool


def text_columns(table: RunTable) -> list[Column]:
    """Return the columns to show; the two ends of an interval are one column."""
    heads = {name: for_terminal(head) for name, head in short_names(table.columns).items()}
    ends = {f"{name}{LOW}": f"{name}{HIGH}" for name in table.columns}
    intervals = {low: high for low, high in ends.items() if {low, high} <= set(table.columns)}
    return [
        _interval(name, table.rows[name], table.rows[intervals[name]])
        if name in intervals
        else _column(name, heads[name], table.rows[name])
        for name in table.columns
        if name not in intervals.values()
    ]


def _interval(name: str, low: pd.Series, high: pd.Series) -> Column:
    ends = zip(low, high, strict=True)
    cells = ["" if pd.isna(start) else f"{start:.3f} to {end:.3f}" for start, end in ends]
    return Column(name, "95 % interval", cells, is_number=False)


def _column(name: str, head: str, values: pd.Series) -> Column:
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    return Column(name, head, _cells(name, values), is_number=numeric)


def _cells(name: str, values: pd.Series) -> list[str]:
    show = SHOWN.get(name, _metric if _is_metric(name) else _plain)
    missing = values.isna()
    return ["" if gone else show(value) for value, gone in zip(values.tolist(), missing, strict=True)]


def _is_metric(name: str) -> bool:
    return name.rpartition("_")[2] in ("accuracy", "loss")


def _metric(value: Any) -> str:
    return f"{value:.4f}"


def _plain(value: Any) -> str:
    return for_terminal(short_value(value))


def _size(value: Any) -> str:
    return f"{value / 1e6:,.2f} MB"


SHOWN: dict[str, Callable[[Any], str]] = {
    "duration": duration,
    "parameters": "{:,}".format,
    "model_bytes": _size,
}
