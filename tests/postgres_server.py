"""A PostgreSQL server of its own in a folder, which a test may stop, kill and start again."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

import psutil

USER = "runback"
"""The database's superuser, whose password is needed."""

INITDB = ("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale")
"""How a database is made: nobody gets in without the password."""

ACCOUNTS = ("postgres", "nobody")
"""Users that root may start it as: PostgreSQL refuses to run as root."""


def programs() -> Path | None:
    """Return the newest installed PostgreSQL's folder of programs; None: there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda bin: int(bin.parent.name))
    found = shutil.which("initdb")
    return installed[-1] if installed else Path(found).resolve().parent if found else None


def lacking() -> str | None:
    """Return why no PostgreSQL can be started here; None: one can."""
    if programs() is None:
        return "PostgreSQL is not installed"
    if os.geteuid() == 0 and _account() is None:
        return f"PostgreSQL does not run as root, and there is no user {' or '.join(ACCOUNTS)}"
    return None


class PostgresServer:
    """A PostgreSQL on a port of the loopback address; its files are in `folder`, and in one of its own.

    It keeps its port and its password when it is stopped and started again. A context manager.
    """

    def __init__(self, folder: Path, port: int | None = None, password: str | None = None) -> None:
        self.folder, self.port = folder, port or free_port()
        self.password = password or secrets.token_hex(16)
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, database: str = "postgres", scheme: str = "postgresql") -> str:
        """Return a database's address, without the password."""
        return f"{scheme}://{USER}@127.0.0.1:{self.port}/{database}"

    def environment(self) -> dict[str, str]:
        """Return the variables by which its clients get in."""
        return {"PGPASSWORD": self.password}

    def start(self) -> None:
        """Start it; it answers when this returns."""
        if not self._data.exists():
            self._create()
        if _account():
            _open_way(self.folder)  # again: every session of pytest closes its folders
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._as_account([str(_bin("postgres")), "-D", str(self._data), "-p", str(self.port)]),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, f"{self.url()} does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, ending its clients' connections (fast shutdown)."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """Stop it as a crash does (immediate shutdown): its next start recovers from the log."""
        self._signal(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used since it was started; that of ended connections is the parent's."""
        if self._process is None:
            return 0.0
        own = psutil.Process(self._process.pid)
        return sum(own.cpu_times()[:4]) + sum(sum(one.cpu_times()[:2]) for one in own.children())

    def create_database(self, name: str) -> str:
        """Make an empty database; return its address, without the password."""
        self.run("createdb", name)
        return self.url(name)

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL on it, as `pg_dump`, `createdb` or `psql`; return its output."""
        done = subprocess.run(
            [_bin(program), *self._options, *arguments],
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def _options(self) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(self.port), "--username", USER]

    def _create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        password = self.folder / "password"
        password.write_text(self.password)
        password.chmod(0o600)
        self._data.mkdir(mode=0o700)
        if account := _account():
            _open_way(self.folder)
            for path in (self._data, password):
                shutil.chown(path, account)
        command = [
            *(str(_bin("initdb")), "--pgdata", str(self._data), "--username", USER),
            *("--pwfile", str(password), "--no-sync", *INITDB),
        ]
        done = subprocess.run(self._as_account(command), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        password.unlink()
        lines = (
            "listen_addresses = '127.0.0.1'",
            "unix_socket_directories = ''",
            "fsync = off",
            "max_connections = 100",
        )
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join(lines) + "\n")

    @staticmethod
    def _as_account(command: list[str]) -> list[str]:
        account = _account()
        return command if account is None else ["setpriv", *_privileges(account), "--", *command]

    def _answers(self) -> bool:
        done = subprocess.run([_bin("pg_isready"), *self._options, "--quiet"], check=False)
        return done.returncode == 0

    def _signal(self, signum: signal.Signals) -> None:
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signum)
        self._process.wait(timeout=60)
        self._process = None


class TemporaryPostgres(PostgresServer):
    """A PostgreSQL in a temporary folder, which makes databases as they are asked for."""

    def __init__(self) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="runback-postgres-", dir="/tmp")))
        self._databases = {"postgres"}

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres", scheme: str = "postgresql") -> str:
        """Return a database's address, without the password; the database is made if need be."""
        if database not in self._databases:
            self._databases.add(database)
            self.create_database(database)
        return super().url(database, scheme)

    def stop(self, mode: str = "fast") -> None:
        """Stop it; `immediate` is what a power failure does."""
        if mode == "immediate":
            self.kill()
        else:
            super().stop()

    def restart(self, mode: str = "immediate") -> None:
        """Stop it and start it again."""
        self.stop(mode)
        self.start()

    def sql(self, statement: str, database: str = "postgres") -> list[tuple]:
        """Run a statement; return its rows."""
        import psycopg

        where = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": self.password}
        with psycopg.connect(**where, dbname=database, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bin(program: str) -> Path:
    folder = programs()
    assert folder is not None
    return folder / program


def _account() -> str | None:
    """Return the user that root starts it as; None where nobody else is needed, or there is none."""
    import pwd

    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ACCOUNTS if name in names), None)


def _privileges(account: str) -> list[str]:
    import pwd

    entry = pwd.getpwnam(account)
    return ["--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid), "--clear-groups"]


def _open_way(folder: Path) -> None:
    """Let other users pass through the folders above: pytest's are for their owner alone."""
    for above in (folder, *folder.parents):
        mode = above.stat().st_mode
        if not mode & 0o001:
            above.chmod(mode | 0o011)
