"""`runback compare`: runs side by side in one table, or why two of them differ."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runback.errors import InputError
from runback.runs.run_reference import find_in, sweep_runs
from runback.system.options import Parser
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader

if TYPE_CHECKING:
    from runback.comparison.run_frames import RunFrame
    from runback.comparison.runs_table import RunTable

STDOUT = "-"

TABLE_OPTIONS = ("sort", "top", "columns", "csv", "html")
"""Options that ask for a table, also of two runs."""


def main(argv: list[str]) -> int:
    """Run `runback compare`."""
    options = _options(argv)
    layout = Layout(project_root())
    runs: list[str] = options.runs
    if len(runs) == 2 and all(getattr(options, name) is None for name in TABLE_OPTIONS):
        from runback.comparison.run_difference import print_difference

        print_difference((runs[0], runs[1]), layout, as_json=options.json)
    else:
        _print_table(options, layout)
    return 0


def _options(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="runback compare",
        description="Show runs side by side, the best first; of just two runs, what differs, causes first.",
    )
    parser.add_argument(
        "runs",
        nargs="*",
        metavar="RUN",
        help="a run ID (or 6 characters of it), best:SWEEP, a run's address; of just two also a bundle",
    )
    parser.add_argument("--sweep", metavar="NAME", help="all trials of this sweep")
    parser.add_argument("--sort", metavar="COLUMN", help="instead of by the objective: best or least first")
    parser.add_argument("--top", type=int, metavar="N", help="only the first N")
    parser.add_argument("--columns", metavar="A,B", help="these instead of what varies and what came out")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON")
    for form in ("csv", "html"):
        text = f"print {form.upper()}, or write it to FILE"
        forms.add_argument(f"--{form}", nargs="?", const=STDOUT, metavar="FILE", help=text)
    options = parser.parse_intermixed_args(argv)
    _check(options)
    return options


def _check(options: argparse.Namespace) -> None:
    if options.top is not None and options.top < 1:
        raise InputError(f"--top must be at least 1; got {options.top}")
    for form in ("csv", "html"):
        file = getattr(options, form)
        if file is not None and re.fullmatch(r"[0-9a-f]{6,32}|best:.*", file):
            raise InputError(f"--{form} {file} would write a file of that name: put the runs before --{form}")
    if bool(options.runs) == (options.sweep is not None):
        raise InputError("expected either RUNs or --sweep NAME (see runback compare --help)")


def _print_table(options: argparse.Namespace, layout: Layout) -> None:
    from runback.comparison import terminal_table
    from runback.comparison.runs_table import make_table

    is_shown = not (options.json or options.csv or options.html) and sys.stdout.isatty()
    top = options.top or (terminal_table.SHOWN if is_shown else None)
    table = make_table(_read(options, layout), sort=options.sort, top=top, columns=options.columns)
    if is_shown:
        terminal_table.show(table)
    else:
        _write(_as_text(table, options), options.csv or options.html or STDOUT)


def _read(options: argparse.Namespace, layout: Layout) -> "RunFrame":
    from runback.comparison.run_frames import read_runs

    with open_reader(layout) as reader:
        if options.sweep is None:
            return read_runs(
                reader, list(dict.fromkeys(find_in(reader, run, layout) for run in options.runs))
            )
        found = read_runs(reader, sweep_runs(reader, options.sweep, layout))
    if not {"FINISHED", "SCHEDULED"} & {*found.rows["status"]}:
        raise InputError(f"sweep {options.sweep} has no finished trial yet, and no paused one")
    return found


def _as_text(table: "RunTable", options: argparse.Namespace) -> str:
    from runback.comparison import table_output

    if options.json:
        return table_output.as_json(table)
    if options.csv:
        return table_output.as_csv(table)
    if options.html:
        return table_output.as_html(table, "Runs" if options.sweep is None else f"Sweep {options.sweep}")
    return table_output.as_text(table)


def _write(text: str, file: str) -> None:
    if file == STDOUT:
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror or error}") from error
