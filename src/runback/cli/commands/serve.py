"""`runback serve`: a trained network answers images, on this machine only."""

import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, cast

from omegaconf import DictConfig

from runback.cli.classifier_only import refuse_recorded_task, refuse_task
from runback.errors import InputError, Stopped
from runback.keras.networks.stored_network import read_network
from runback.runs.schema import NETWORK
from runback.runs.stored_run import StoredRun, find_recorded
from runback.runs.tasks.hydra_app import make_importable
from runback.system.config import targets
from runback.system.options import Parser
from runback.system.stop_signals import stop_on_signals
from runback.system.text.quiet_stderr import silenced
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.server.ui_server import HOST, choose_port

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from runback.classifier.serving.image_classifier import Classifier

PORT = 5001

STOP_TIMEOUT = 5
"""Seconds that requests under way get to finish."""


def main(argv: list[str]) -> int:
    """Serve a run's network until Ctrl-C, SIGTERM or SIGHUP; print the address. Returns the exit code.

    Raises InputError and StoreError.
    """
    parser = Parser(prog="runback serve", description="Answer images with a trained network, over HTTP.")
    parser.add_argument(
        "run",
        metavar="RUN",
        help="a run ID (or 6 characters of it), SWEEP@champion, best:SWEEP, a run's address, a bundle",
    )
    parser.add_argument("--port", type=int, help=f"port on {HOST} (default: {PORT}, or a free one)")
    parser.add_argument(
        "--feedback", action="store_true", help="take what people say of answers, at /feedback, and keep it"
    )
    options = parser.parse_args(argv)
    layout = Layout(project_root())
    make_importable(layout.root)
    port = choose_port(options.port, PORT)
    with stop_on_signals(), _listening(port) as listener:
        recorded = find_recorded(options.run, layout)
        refuse_task(recorded.tags, recorded.id, "serve")
        refuse_recorded_task(recorded.record, recorded.id, "serve")  # a bundle has no tags
        file = _feedback_file(recorded, layout) if options.feedback else None
        classifier = _load(recorded, targets.declared_modules(layout.root))
        app = _app(classifier, file)
        say(*_announcement(recorded, classifier, port).split("\n"))
        if file is not None:
            say(f"what people say of answers, at http://{HOST}:{port}/feedback, is kept in {file}")
        with contextlib.suppress(KeyboardInterrupt, Stopped):
            _run(app, listener)
    return 0


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """Hold the port from now on: who connects before the network is loaded waits for it."""
    # Only where a socket says that it is TCP's does asyncio turn off Nagle's algorithm, by which the second
    # packet of an answer waits 40 ms for the acknowledgement of its first.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
        yield listener


def _load(recorded: StoredRun, declared: tuple[str, ...]) -> "Classifier":
    """Return a run's network, ready to answer. Errors: InputError."""
    what = f"{NETWORK} of run {recorded.id}"
    model = recorded.config.get("model")
    factory = str(model.get("_target_") if isinstance(model, DictConfig) else None)
    split = recorded.record["data"]["train"]
    # The network shares a GPU with what trains there: it takes memory as it needs it.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    with tempfile.TemporaryDirectory(prefix="runback-") as folder:
        file = Path(folder) / NETWORK
        file.write_bytes(recorded.files.read(NETWORK))
        network = read_network(file, factory, declared, what)

    from runback.classifier.serving.image_classifier import Classifier

    with silenced():
        classifier = Classifier(
            network, cast("tuple[int, int, int]", tuple(split["shape"][1:])), tuple(split["class_counts"])
        )
        classifier.warm_up()
    return classifier


def _feedback_file(recorded: StoredRun, layout: Layout) -> Path:
    """Return where feedback is kept. Errors: InputError for a bundle, or where that leads elsewhere."""
    if recorded.is_bundle:
        raise InputError("--feedback is kept for runs of this project; this is a bundle")
    return layout.inside(layout.feedback(recorded.id), f"the feedback on run {recorded.id}")


def _app(classifier: "Classifier", file: Path | None) -> "ASGIApp":
    from runback.classifier.serving.feedback import FeedbackFile
    from runback.classifier.serving.http_app import make_app

    feedback = None if file is None else FeedbackFile(file, classifier.shape, classifier.class_names)
    return make_app(classifier, version("mlflow"), feedback)


def _announcement(recorded: StoredRun, classifier: "Classifier", port: int) -> str:
    address = f"http://{HOST}:{port}"
    sides, classes = ", ".join(str(side) for side in classifier.shape), len(classifier.class_names)
    image = f"import numpy, sys; numpy.save(sys.stdout.buffer, numpy.zeros((1, {sides}), 'uint8'))"
    curl = "curl -sS --data-binary @- -H 'Content-Type: application/x-npy'"
    return "\n".join(
        [
            address,
            f"run {recorded.id}: takes uint8 images (n, {sides}), tells {classes} classes apart",
            f'python -c "{image}" | {curl} {address}/invocations',
        ]
    )


def _run(app: "ASGIApp", listener: socket.socket) -> None:
    """Serve until a signal; a SIGHUP that is ignored, as under nohup, stays so."""
    import uvicorn

    from runback.classifier.serving.connections import IDLE_SECONDS, MOST, Connection

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=Connection,
            loop="asyncio",
            backlog=MOST,
            timeout_keep_alive=IDLE_SECONDS,
            log_level="warning",
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_TIMEOUT,
        )
    )
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, server.handle_exit)  # it ends others well itself
    server.run(sockets=[listener])
