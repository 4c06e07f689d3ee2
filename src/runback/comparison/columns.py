"""Columns of frames: params are text in MLflow, and numbers here."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from runback.tracking.read.rows import EpochTable

NUMBERS: tuple[tuple[Callable[[str], Any], str], ...] = ((int, "Int64"), (float, "float64"))


def typed(values: Sequence[str | None]) -> pd.Series:
    """Return a column of params with the narrowest dtype that takes them all.

    bool, int64, float64 or text; boolean and Int64 where a value is missing, which `None` counts as.
    """
    cleaned = [None if value == "None" else value for value in values]
    present = {value for value in cleaned if value is not None}
    if present and present <= {"True", "False"}:
        return _narrow(pd.Series([value and value == "True" for value in cleaned], dtype="boolean"), "bool")
    for read, dtype in NUMBERS:
        with contextlib.suppress(ValueError, OverflowError):
            numbers = {value: read(value) for value in present}
            column = pd.Series([None if value is None else numbers[value] for value in cleaned], dtype=dtype)
            return _narrow(column, "int64") if dtype == "Int64" else column
    return pd.Series(cleaned)


def whole(values: Sequence[int | None]) -> pd.Series:
    """Return a column of whole numbers: int64, or Int64 where one is missing."""
    return _narrow(pd.Series(list(values), dtype="Int64"), "int64")


def curve_columns(curves: EpochTable, runs: Sequence[Any]) -> pd.DataFrame:
    """Return curves as a frame: `run`, `epoch`, then each metric; `runs` are what runs are called."""
    called = pd.Series(list(runs)).loc[curves.runs].reset_index(drop=True)
    return pd.DataFrame({"run": called, "epoch": curves.epochs, **curves.metrics})


def _narrow(column: pd.Series, dtype: str) -> pd.Series:
    return column if column.isna().any() else column.astype(dtype)
