"""`runback ui`: MLflow's web interface, on this machine only, for whoever knows its address."""

import contextlib
import os
import secrets
import sys
import tempfile
import webbrowser
from collections.abc import Iterator
from pathlib import Path

from runback.errors import Stopped
from runback.system.options import Parser
from runback.system.stop_signals import stop_on_signals
from runback.system.text.escape import for_html
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.server.token_gate import QUERY
from runback.tracking.server.ui_server import HOST, choose_port, serving
from runback.tracking.store import open_store

OPEN_TO_ALL = (
    "--no-token: every user of this machine can read and change all runs here, and read and write artifacts"
)


def main(argv: list[str]) -> int:
    """Serve the project's runs until Ctrl-C; print the address once it answers. Returns the exit code.

    Where `$MLFLOW_TRACKING_URI` names a server, print its address instead. Raises InputError and StoreError.
    """
    parser = Parser(prog="runback ui", description="Show the runs in MLflow's web interface.")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: 5000, or a free one)")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")
    parser.add_argument("--no-token", action="store_true", help="let every user of this machine in")
    options = parser.parse_args(argv)
    layout = Layout(project_root())
    port = choose_port(options.port)
    store = open_store(layout)
    if store.is_server:
        say(str(store))
        return 0
    token = None if options.no_token else secrets.token_hex(32)
    address = f"http://{HOST}:{port}" + (f"/?{QUERY}={token}" if token else "")
    with contextlib.ExitStack() as ends:
        ends.enter_context(contextlib.suppress(KeyboardInterrupt, Stopped))
        ends.enter_context(stop_on_signals())
        server = ends.enter_context(serving(store, port, token))
        if token is None:
            sys.stderr.write(OPEN_TO_ALL + "\n")
        say(address)
        if not options.no_browser and has_browser():
            webbrowser.open(ends.enter_context(_leading_to(f"{address}#/experiments", layout.mlruns)))
        return server.wait()
    return 0


@contextlib.contextmanager
def _leading_to(address: str, folder: Path) -> Iterator[str]:
    """Make a page that leads on to an address, for its user alone; return the page's own address.

    A browser is told what to open by its arguments, which every user of the machine can see.
    """
    with tempfile.NamedTemporaryFile("w", dir=folder, prefix="ui-", suffix=".html") as page:  # mode 0600
        page.write(f'<meta http-equiv="refresh" content="0; url={for_html(address)}">\n')
        page.flush()
        yield Path(page.name).as_uri()


def has_browser() -> bool:
    """Tell whether a person sits here, at a screen that a browser can show its window on."""
    has_screen = sys.platform in ("darwin", "win32") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    return sys.stdout.isatty() and has_screen
