"""Runs MLflow's web interface on this machine, for this machine only."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import psutil

from runback.errors import InputError, StoreError
from runback.tracking.store import Store

HOST = "127.0.0.1"

START_TIMEOUT = 120.0
"""Seconds that the server may take to answer; on 2 cores it takes about 6."""

STOP_TIMEOUT = 5.0
"""Seconds that the server gets to end by itself."""

TOKEN_VARIABLE = "RUNBACK_UI_TOKEN"  # noqa: S105 - its name
"""The variable by which the server is told its token, empty for none: arguments are seen by everybody."""

ARTIFACTS_VARIABLE = "RUNBACK_UI_ARTIFACTS"
"""The variable by which the server is told the folder that it reads and writes artifacts in."""


def choose_port(wanted: int | None, default: int = 5000) -> int:
    """Return `wanted`, or `default`, or any free port when the default is taken.

    Raises InputError when the wanted port is taken or none.
    """
    if wanted is not None:
        if not 1 <= wanted <= 65535:
            raise InputError(f"a port lies in 1..65535; got {wanted}")
        if not _is_free(wanted):
            raise InputError(f"port {wanted} of {HOST} is taken: choose another, or none to get a free one")
        return wanted
    if _is_free(default):
        return default
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serving(store: Store, port: int, token: str | None) -> Iterator[subprocess.Popen[bytes]]:
    """Run `mlflow server` on a project's own database while the body runs; no process of it survives.

    It answers when the body begins: those who know the token, or everybody where that is None. Raises
    StoreError when it does not start.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter, and arguments from here
        _command(store, port),
        env=_environment(store, token),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_until_it_answers(process, port, token)
        yield process
    finally:
        _stop(process)


def _command(store: Store, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        # By default it answers to any Host header that looks like a private address: 10.evil.example.
        *("--allowed-hosts", f"localhost:{port},{HOST}:{port}"),
        *("--default-artifact-root", store.layout.artifacts.as_uri(), "--no-serve-artifacts"),
        *("--uvicorn-opts", "--log-level warning"),
        *("--app-name", "runback"),
    ]


def _environment(store: Store, token: str | None) -> dict[str, str]:
    """Return the server's environment: its owner alone can read it, the token and a password in the URI."""
    own = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return own | {
        TOKEN_VARIABLE: token or "",
        ARTIFACTS_VARIABLE: str(store.layout.artifacts),
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "MLFLOW_REGISTRY_STORE_URI": store.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",  # of MLflow about its own dependencies
    }


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _wait_until_it_answers(process: subprocess.Popen[bytes], port: int, token: str | None) -> None:
    health = urllib.request.Request(f"http://{HOST}:{port}/health")
    if token is not None:
        health.add_header("Authorization", f"Bearer {token}")
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StoreError(f"MLflow's server ended at once, with exit code {process.returncode}")
        if _listens(process, port):
            with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=2):  # noqa: S310 - loopback
                return
        time.sleep(0.1)
    raise StoreError(f"MLflow's server did not answer within {START_TIMEOUT:.0f} s")


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Tell whether this server has the port. Another user's program may, and is not told the token."""
    with contextlib.suppress(psutil.Error):
        started = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        sockets = [one for each in started for one in each.net_connections("tcp4")]
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in sockets)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and all that it started."""
    gone = contextlib.suppress(ProcessLookupError, PermissionError)
    try:
        with gone, contextlib.suppress(subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(STOP_TIMEOUT)
    finally:  # also after a second Ctrl-C
        with gone:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
