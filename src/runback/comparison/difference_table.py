"""Shows differences to a person: whole lines in a file, folded to fit on a terminal."""

import io
from collections.abc import Iterable
from itertools import islice

from rich.console import Console
from rich.table import Table

from runback.provenance.comparing.difference import Difference
from runback.system.text.escape import for_terminal
from runback.system.text.screen import UNLIMITED, Screen

ROWS = 500
"""Differences that are shown; the rest is counted."""

CELL = 500
"""Characters of a text that are shown: each row is as wide as the widest."""

HEADS = ("differs", "", "recorded", "now")


def print_differences(
    found: Iterable[Difference], console: Console, heads: tuple[str, str, str, str] = HEADS
) -> None:
    """Print a row for each difference: its part, what differs in it, and its two values, each cut to CELL."""
    part, what, then, now = (_cell(head) for head in heads)
    rows = iter(found)
    table = Table(box=None, pad_edge=False)
    table.add_column(part, no_wrap=True)
    table.add_column(what, overflow="fold")
    table.add_column(then, overflow="fold")
    table.add_column(now, overflow="fold")
    for one in islice(rows, ROWS):
        table.add_row(*(_cell(text) for text in (one.part, one.what, one.then, one.now)))
    if more := sum(1 for _ in rows):
        table.add_row("", f"and {more:,} more", "", "")
    if console.is_terminal:
        console.print(table)
        return
    whole = Screen(io.StringIO(), width=UNLIMITED)
    with whole.capture() as captured:
        whole.print(table)
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")


def _cell(text: str) -> str:
    printable = for_terminal(text[:CELL])
    return printable if len(text) <= CELL and len(printable) <= CELL else f"{printable[:CELL]}..."
