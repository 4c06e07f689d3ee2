"""A table of runs for a file or a pipe: whole lines of text, CSV, JSON, or a page."""

import json

from runback.comparison.cells import text_columns
from runback.comparison.runs_table import RunTable
from runback.provenance.comparing.reproduction_page import html_table
from runback.system.text.escape import for_html
from runback.system.text.frame_csv import frame_csv

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem } table { border-collapse: collapse }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid; white-space: nowrap }
"""


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
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{for_html(title)}</title>"
    body = html_table([column.head for column in columns], rows)
    return f"{head}\n<style>{STYLE}</style>\n<h1>{for_html(title)}</h1>\n{body}\n"
