"""Writes a pandas frame as CSV that a spreadsheet and a terminal show, and do not obey."""

from typing import Any

from runback.system.text.escape import for_csv, for_terminal


def frame_csv(frame: Any) -> str:
    """Return a header, then a line for each row; numbers, dates and what is missing stay as they are."""
    cells = frame.map(_cell).rename(columns=_cell)
    return str(cells.to_csv(index=False, lineterminator="\n"))


def _cell(value: Any) -> Any:
    return for_csv(for_terminal(value)) if isinstance(value, str) else value
