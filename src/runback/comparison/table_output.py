"""A table of runs for a file or a pipe: whole lines of text, CSV, JSON, or a page."""

import json

from runback.comparison.cells import text_columns
from runback.comparison.runs_table import RunTable
from runback.system.text.frame_csv import frame_csv
from runback.system.text.html_page import html_page, html_table


def as_text(table: RunTable) -> str:
    """Return a line for each run, all of them as long as they need to be."""
    columns = []
    for column in text_columns(table):
        width = max(map(len, [column.head, *column.cells]))
        pad = str.rjust if column.is_number else str.ljust
        columns.append([pad(cell, width) for cell in [column.head, *column.cells]])
    return "".join("  ".join(line).rstrip() + "\n" for line in zip(*columns, strict=True))


def as_csv(table: RunTable) -> str:
    """Return the shown columns as they are in the frame: a header, then a line for each run."""
    return frame_csv(table.rows[table.columns])


def as_json(table: RunTable) -> str:
    """Return `runs`, an object for each; null where it has no value."""
    rows = table.rows[table.columns].astype(object)
    facts = {
        "runs": rows.where(rows.notna(), None).to_dict("records"),
        "varying": table.varying,
        "sorted_by": table.by,
        "of": table.of,
    }
    return json.dumps(facts, indent=2, default=str) + "\n"


def as_html(table: RunTable, title: str) -> str:
    """Return a page with the table, without anything from elsewhere."""
    columns = text_columns(table)
    rows = zip(*(column.cells for column in columns), strict=True)
    return html_page(title, f'<div class="wide">{html_table([one.head for one in columns], rows)}</div>')
