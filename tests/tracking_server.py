"""A tracking server without containers: PostgreSQL, and MLflow with passwords, as in docker-compose.yaml.

    python tests/tracking_server.py FOLDER [--port 5000] [--artifacts s3://BUCKET]

starts both, with all their files in FOLDER, prints what a client needs and stops them at Ctrl-C. Passwords
are made at the first start and kept in FOLDER/.env, for the user alone. See docs/tracking-server.md.
"""

import argparse
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Self

import psutil

from postgres_server import PostgresServer, free_port, lacking

DATABASE = "mlflow"
"""The database of runs, and of users too."""

USERS = """[mlflow]
default_permission = READ
database_uri = {uri}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
"""What MLflow reads of its users: `MLFLOW_AUTH_CONFIG_PATH`."""

SECRETS = ("POSTGRES_PASSWORD", "MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY")
"""The variables of `.env` that are made up at the first start."""

QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def command(uri: str, artifacts: str, host: str, port: int, workers: int, *names: str) -> list[str]:
    """Return the words that start MLflow's server: docker-compose.yaml has the same."""
    return [
        *("mlflow", "server", "--host", host, "--port", str(port), "--workers", str(workers)),
        *("--app-name", "basic-auth", "--backend-store-uri", uri),
        *("--serve-artifacts", "--artifacts-destination", artifacts),
        *("--allowed-hosts", ",".join(names)),
    ]


class TrackingServer:
    """MLflow with users and passwords on a PostgreSQL of its own. A context manager.

    It keeps its port, its passwords and what is stored when it is stopped, or killed, and started again.
    """

    user = "admin"

    def __init__(
        self, folder: Path, port: int | None = None, artifacts: str | None = None, **environment: str
    ) -> None:
        self.folder, self.port = folder, port or free_port()
        self.artifacts = artifacts or str(folder / "artifacts")
        self.secrets = _secrets(folder / ".env")
        self.postgres = PostgresServer(folder / "postgres", password=self.secrets["POSTGRES_PASSWORD"])
        self._more = environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.postgres.start()
        if DATABASE not in self.postgres.run("psql", "-Atc", "SELECT datname FROM pg_database", "postgres"):
            self.postgres.create_database(DATABASE)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.postgres.stop()

    @property
    def uri(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """The password of `user`."""
        return self.secrets["MLFLOW_AUTH_ADMIN_PASSWORD"]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a client gets in."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": self.user,
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }

    def start(self) -> None:
        """Start MLflow, PostgreSQL being there; it answers when this returns."""
        uri = self.postgres.url(DATABASE, "postgresql+psycopg")
        users = self.folder / "users.ini"
        users.write_text(USERS.format(uri=uri))
        names = (f"127.0.0.1:{self.port}", f"localhost:{self.port}")
        words = command(uri, self.artifacts, "127.0.0.1", self.port, 1, *names)
        own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING_")}
        given = {"MLFLOW_AUTH_CONFIG_PATH": str(users), **QUIET, **self.secrets, **self._more}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words],
                env={**own, **given, **self.postgres.environment()},
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 300
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, f"{self.uri} does not answer"
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill MLflow's processes."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait(self) -> None:
        """Wait until MLflow ends."""
        if self._process is not None:
            self._process.wait()

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that MLflow and PostgreSQL have used since they were started."""
        own = [] if self._process is None else [psutil.Process(self._process.pid)]
        every = [*own, *(child for one in own for child in one.children(recursive=True))]
        return self.postgres.cpu_seconds + sum(sum(one.cpu_times()[:2]) for one in every)

    def dump(self) -> str:
        """Return all that the database holds, as SQL."""
        return self.postgres.run("pg_dump", "--inserts", DATABASE)

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer,  # noqa: S310 - http
        ):
            return bool(answer.status == 200)
        return False


def _secrets(file: Path) -> dict[str, str]:
    """Return the secrets in a file, which is made, for the user alone, where it is not there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={secrets.token_hex(24)}\n" for name in SECRETS))
    lines = [line.partition("=") for line in file.read_text().splitlines()]
    return {name: value for name, _, value in lines}


def main() -> None:
    """Run the server until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--artifacts", help="s3://BUCKET, or a folder (default: FOLDER/artifacts)")
    options = parser.parse_args()
    reason = lacking()
    if reason is not None:
        sys.exit(reason)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        contextlib.suppress(KeyboardInterrupt),
        TrackingServer(options.folder.absolute(), options.port, options.artifacts) as server,
    ):
        print(f"export MLFLOW_TRACKING_URI={server.uri}")
        print(f"export MLFLOW_TRACKING_USERNAME={server.user}")
        print(f"export MLFLOW_TRACKING_PASSWORD=...   # {server.folder}/.env: MLFLOW_AUTH_ADMIN_PASSWORD")
        sys.stdout.flush()
        server.wait()


if __name__ == "__main__":
    main()
