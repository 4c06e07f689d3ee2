"""Shows differences to a person: whole lines in a file, folded to fit on a terminal."""

import io
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from runback.escape import for_terminal
from runback.provenance.difference import Difference
from runback.screen import Screen

UNLIMITED = 100_000
"""Columns where no terminal limits them: a file or a pipe gets each row on one line, whole."""

HEADS = ("differs", "", "recorded", "now")


def print_differences(
    found: Iterable[Difference], console: Console, heads: tuple[str, str, str, str] = HEADS
) -> None:
    """Print a row for each difference: its part, what differs in it, and its two values."""
    part, what, then, now = (for_terminal(head) for head in heads)
    table = Table(box=None, pad_edge=False)
    table.add_column(part, no_wrap=True)
    table.add_column(what, overflow="fold")
    table.add_column(then, overflow="fold")
    table.add_column(now, overflow="fold")
    for one in found:
        table.add_row(*(for_terminal(text) for text in (one.part, one.what, one.then, one.now)))
    if console.is_terminal:
        console.print(table)
        return
    whole = Screen(io.StringIO(), width=UNLIMITED)
    with whole.capture() as captured:
        whole.print(table)
    for line in captured.get().splitlines():
        console.file.write(f"{line.rstrip()}\n")
