"""`runback ui`: MLflow's web interface, on this machine only."""

import contextlib
import os
import signal
import sys
import webbrowser
from collections.abc import Iterator
from types import FrameType

from runback.arguments import Parser
from runback.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.server import HOST, choose_port, serving
from runback.tracking.store import open_store


def main(argv: list[str]) -> int:
    """Serve the project's runs until Ctrl-C; print the address once it answers. Returns the exit code.

    Where `$MLFLOW_TRACKING_URI` names a server, print its address instead. Raises InputError and StoreError.
    """
    parser = Parser(prog="runback ui", description="Show the runs in MLflow's web interface.")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: 5000, or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    options = parser.parse_args(argv)
    layout = Layout(project_root())
    port = choose_port(options.port)
    store = open_store(layout)
    if store.is_server:
        _print(str(store))
        return 0
    with contextlib.suppress(KeyboardInterrupt), _signals_interrupt(), serving(store, port) as server:
        address = f"http://{HOST}:{port}"
        _print(address)
        if not options.no_browser and has_browser():
            webbrowser.open(f"{address}/#/experiments")
        return server.wait()
    return 0


def has_browser() -> bool:
    """Tell whether a person sits here, at a screen that a browser can show its window on."""
    has_screen = sys.platform in ("darwin", "win32") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    return sys.stdout.isatty() and has_screen


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the body as Ctrl-C does, so that it can clean up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    replaced = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


def _print(line: str) -> None:
    say(line)
