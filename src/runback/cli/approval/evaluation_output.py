"""Shows an evaluation in the terminal, and what it has come to while it runs."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from runback.system.text.escape import for_terminal
from runback.system.text.screen import Screen
from runback.system.text.terminal import say, say_json


@contextlib.contextmanager
def progress(*, is_silent: bool) -> Iterator[Callable[[str], None]]:
    """Show what is done: a bar on a terminal, elsewhere a line for each kind of work, unless it is silent."""
    from runback.classifier.evaluation.network_evaluation import STEPS

    console = Screen(sys.stderr)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("loading", total=STEPS)
            yield lambda text: bar.update(task, advance=1, description=text)
        return
    said: set[str] = set()

    def tick(text: str) -> None:
        if text not in said and not is_silent:
            say(text)
            said.add(text)

    yield tick


def show(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a report to stdout, its notes to stderr."""
    say(*report["notes"], stream=sys.stderr)
    if as_json:
        say_json(report)
        return
    console = Screen()
    classes = Table("class", "images", "recall", "95 % interval", box=None, pad_edge=False)
    for one in report["quality"]["classes"]:
        recall = one["recall"]
        cells = (f"{recall['value']:.3f}", _ends(recall, 3)) if recall else ("", "")
        classes.add_row(for_terminal(one["name"]), f"{one['n']:,}", *cells)
    console.print(classes)
    numbers = Table("", "value", "95 % interval", box=None, pad_edge=False)
    for section in report.values():
        for name, measure in section.items() if isinstance(section, Mapping) else ():
            if isinstance(measure, Mapping) and measure.keys() >= {"value", "low", "high"}:
                numbers.add_row(
                    for_terminal(name.replace("_", " ")), f"{measure['value']:.4f}", _ends(measure, 4)
                )
    console.print(numbers)
    accuracy = report["quality"]["accuracy"]
    console.print(
        f"{for_terminal(report['images'])} accuracy {accuracy['value']:.4f} (95 %: {_ends(accuracy, 4)})"
    )
    console.print(f"images {report['n']:,}   run {report['run']}   page: evaluation.html, in the MLflow UI")


def _ends(measure: Mapping[str, Any], digits: int) -> str:
    if measure["low"] is None or measure["high"] is None:
        return ""
    return f"{measure['low']:.{digits}f} to {measure['high']:.{digits}f}"
