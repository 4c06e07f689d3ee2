"""A PostgreSQL and a tracking server of MLflow, started in a temporary folder for a benchmark."""

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

BIN = Path("/usr/lib/postgresql/15/bin")
"""Debian's PostgreSQL 15."""

DATABASES = ("study", "runs")

PATIENCE = 120.0
"""Seconds that a server gets to answer."""


def seconds_of(process: psutil.Process) -> float:
    """Return the CPU seconds, user and system, of a process and those that it has started and that run."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[tuple[list[str], psutil.Process]]:
    """Start PostgreSQL in a new folder, as it is installed; give the addresses of DATABASES, and its process.

    It refuses to run as root: then it is the user `postgres`, who must be able to reach the folder.
    """
    folder.mkdir(parents=True)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        entry = pwd.getpwnam("postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    data, port = folder / "data", _free_port()
    initialised = [str(BIN / "initdb"), "--auth=trust", "--username=benchmark", "--pgdata", str(data)]
    # Optuna and MLflow each keep the version of their tables in one of the same name.
    made = [str(BIN / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "benchmark"]
    subprocess.run(initialised, check=True, capture_output=True, cwd=folder, **user)
    started = [str(BIN / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder)]
    with _running(started, folder, signal.SIGINT, **user) as process:
        _wait(lambda: socket.create_connection(("127.0.0.1", port), 1).close(), process)
        time.sleep(1)  # it may still be recovering
        for name in DATABASES:
            subprocess.run([*made, name], check=True, capture_output=True)
        addresses = [f"postgresql+psycopg://benchmark@127.0.0.1:{port}/{name}" for name in DATABASES]
        yield addresses, psutil.Process(process.pid)


@contextlib.contextmanager
def mlflow_server(folder: Path, database: str | None = None) -> Iterator[tuple[str, psutil.Process]]:
    """Start MLflow's server with one worker on a database (by default SQLite's): its address and process."""
    folder.mkdir(parents=True)
    port = _free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", database or f"sqlite:///{folder}/runs.db"),
        *("--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")),
    ]
    own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://127.0.0.1:{port}"
    with _running(command, folder, signal.SIGTERM, env=own | quiet) as process:
        _wait(lambda: urllib.request.urlopen(f"{address}/health", timeout=5).close(), process)  # noqa: S310
        yield address, psutil.Process(process.pid)


@contextlib.contextmanager
def _running(
    command: Sequence[str], folder: Path, end: signal.Signals, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **options
        )
    try:
        yield process
    finally:
        process.send_signal(end)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(answers: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return answers()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{process.args[0]} does not answer") from error
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
