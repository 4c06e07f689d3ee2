"""Shows a sweep that runs elsewhere, until it ends."""

import sys
import time
from pathlib import Path

from rich.console import Group
from rich.live import Live
from rich.table import Table as RichTable

from runback.errors import InputError, TrainingError
from runback.sweeping.control.detached import OUTPUT
from runback.sweeping.control.presence import SweepWatch
from runback.sweeping.watching.live_file import LiveView
from runback.sweeping.watching.live_table import HEAD
from runback.system.files.regular_file import reading
from runback.system.text.screen import Screen
from runback.system.text.terminal import say

LOOK = 0.5
"""Seconds from one look to the next."""

LAST = 10_000
"""Bytes of what a sweep has printed that its last lines are looked for in."""

STATES = {
    "queued": "it waits in SLURM's queue",
    "starting": "it starts",
    "running": "it runs",
    "gone": "it is gone",
    "unknown": "SLURM does not answer",
}


def follow(folder: Path, name: str) -> None:
    """Show the table of the sweep in `folder` until it ends; on a terminal live, else a line for each change.

    Errors: InputError where it does not run, and none has ended there; TrainingError where it fails, is
    stopped, or is gone.
    """
    screen, watch = Screen(sys.stdout), SweepWatch(folder)
    view = LiveView.read(folder)
    if view is None and watch.look(None) == "gone" and not (folder / OUTPUT).exists():
        raise InputError(f"sweep {name} is not running: its command starts it, or goes on with it")
    with Live(console=screen, auto_refresh=False, transient=True) as live:
        view = _followed(folder, watch, screen, live)
    if view is None:
        raise TrainingError(f"sweep {name} has not begun: {_last_line(folder)}")
    screen.print(_table(view, ""))
    if view.end is None:
        raise TrainingError(f"sweep {name} is gone; the same command goes on with it")
    if view.end == "failed":
        raise TrainingError(view.reason)
    say(f"sweep {name} has {'ended' if view.end == 'finished' else 'been stopped'}")
    if view.end == "stopped":
        raise TrainingError("the same command goes on with it")


def _followed(folder: Path, watch: SweepWatch, screen: Screen, live: Live) -> LiveView | None:
    """Show what a sweep writes, until it has ended or is gone; return the last."""
    said = ""
    while True:
        view = LiveView.read(folder)
        presence = watch.look(view)
        has_ended = view is not None and view.end is not None
        if presence == "gone" or (has_ended and presence != "running"):
            return LiveView.read(folder)  # it may have ended since
        state = STATES[presence]
        if presence == "starting" and watch.waits_for:
            state = f"its workers wait in SLURM's queue ({watch.waits_for})"
        if screen.is_terminal:
            live.update(_table(view, state), refresh=True)
        elif (line := _line(view, state)) != said:
            said = line
            screen.say(line)
        time.sleep(LOOK)


def _line(view: LiveView | None, state: str) -> str:
    """Return what has changed since it was said, but for the time."""
    counts = [] if view is None else view.counts.split(" · ")
    return " · ".join([one for one in counts if not one.endswith((" left", " so far"))] or [state])


def _table(view: LiveView | None, state: str) -> Group:
    table = RichTable(*HEAD, box=None)
    for row, style in [] if view is None else view.rows:
        table.add_row(*row[: len(HEAD)], style=style if style in ("cyan", "dim") else None)
    lines = ["" if view is None else view.counts, "" if state == STATES["running"] else state]
    lines = [line for line in lines if line]
    return Group(table, *lines) if view is not None and view.rows else Group(*lines)


def _last_line(folder: Path) -> str:
    """Return the last line that a sweep has printed."""
    try:
        with reading(folder / OUTPUT) as stream:
            stream.seek(max(0, stream.seek(0, 2) - LAST))
            lines = stream.read().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "nothing was heard of it"
