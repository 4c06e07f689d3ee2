"""A project in a temporary folder, driven through the command line as a person would."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]


RUN_MANY = Path(__file__).with_name("run_many.py").read_text(encoding="utf-8")


def _many_in_one_process(
    command_lines: Sequence[Sequence[str]], folder: Path, environment: dict[str, str]
) -> list[tuple[int, str, str]]:
    """Run several command lines in one process, one after the other; TensorFlow is imported once.

    Returns each one's exit code, standard output and standard error.
    """
    done = subprocess.run(
        [sys.executable, "-c", RUN_MANY],
        input=json.dumps([list(line) for line in command_lines]),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(result) for result in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="session")
def many_in_one_process() -> Callable[..., list[tuple[int, str, str]]]:
    """For what is no Project."""
    return _many_in_one_process


@dataclass(frozen=True)
class Project:
    """A folder with this repository's conf/ and sweeps/, and an mlruns/ of its own."""

    folder: Path

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
        return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}

    def run(self, *arguments: str, timeout: float = 240, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `runback ARGUMENTS` in the project and return what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "runback", *arguments],
            cwd=self.folder,
            env=self.environment(**env),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def run_installed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `runback ARGUMENTS` as a person does: the working directory is not on Python's path."""
        return subprocess.run(
            [Path(sys.executable).with_name("runback"), *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def run_many(self, *command_lines: Sequence[str], **env: str) -> list[tuple[int, str, str]]:
        """Run several command lines as `many_in_one_process` does."""
        return _many_in_one_process(command_lines, self.folder, self.environment(**env))

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start `runback ARGUMENTS` in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "runback", *arguments],
            cwd=self.folder,
            env=self.environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def interrupt(self, process: subprocess.Popen[str], signum: signal.Signals = signal.SIGINT) -> None:
        """Send what a terminal sends: the signal goes to the whole group."""
        os.killpg(process.pid, signum)

    def own_sweeps(self, **files: str) -> None:
        """Give the project these sweeps instead of the repository's."""
        sweeps = self.folder / "sweeps"
        if sweeps.is_symlink():
            sweeps.unlink()
            sweeps.mkdir()
        for name, text in files.items():
            (sweeps / f"{name}.yaml").write_text(text)

    def study(self, name: str):
        """Return a sweep's study; None where it has none yet."""
        from runback.sweeping.study.study_store import read_study

        folder = self.folder / "mlruns" / "sweeps" / name
        return read_study(folder, name) if self._has_study(folder / "study.db") else None

    @staticmethod
    def _has_study(database: Path) -> bool:
        """Tell whether a database has been made, and its study; Optuna would make it too."""
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection,
        ):
            return connection.execute("SELECT 1 FROM study_directions").fetchone() is not None
        return False

    @staticmethod
    def processes(group: int) -> list[psutil.Process]:
        """Return the processes of a group that are alive."""
        members = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                    members.append(process)
        return members

    def trial_processes(self, group: int) -> list[psutil.Process]:
        """Return those that the forkserver has forked; their command line is the forkserver's own."""
        trials = []
        for process in self.processes(group):
            with contextlib.suppress(psutil.Error):
                if "forkserver" in " ".join(process.parent().cmdline()):
                    trials.append(process)
        return trials

    def fork_server(self, group: int) -> psutil.Process | None:
        """Return the server that forks a group's trials; None where there is none now."""
        servers = [process for process in self.processes(group) if self._forks(process)]
        return next((one for one in servers if not self._forks(one.parent())), None)

    @staticmethod
    def _forks(process: psutil.Process | None) -> bool:
        with contextlib.suppress(psutil.Error, AttributeError):
            return "forkserver" in " ".join(process.cmdline())
        return False

    def are_gone(self, group: int) -> bool:
        """Wait a while for a group's processes to end; say whether they have."""
        deadline = time.monotonic() + 20
        while self.processes(group) and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.processes(group)

    def client(self):
        """Return an MLflow client of the project's store."""
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder / 'mlruns' / 'mlflow.db'}")

    def runs(self):
        """Return all runs in the project's store, the oldest first; none where there is no store."""
        if not (self.folder / "mlruns" / "mlflow.db").exists():
            return []
        client = self.client()
        experiments = [e.experiment_id for e in client.search_experiments()]
        return client.search_runs(experiments, order_by=["attributes.start_time ASC"])


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as it is just after its creation, which takes a second or two."""
    from runback.tracking.layout import Layout
    from runback.tracking.store import open_store

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        layout = Layout(tmp_path_factory.mktemp("fresh"))
        open_store(layout)
    return layout.database


@dataclass
class Server:
    """A tracking server with a store of its own, which keeps its port when it is killed and started again."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self):
        from mlflow import MlflowClient

        return MlflowClient(self.uri)

    def runs(self):
        """Return all runs, the oldest first."""
        experiments = [found.experiment_id for found in self.client.search_experiments()]
        return self.client.search_runs(experiments, order_by=["attributes.start_time ASC"])

    def start(self) -> None:
        """Start it; it answers when this returns."""
        self.folder.mkdir(exist_ok=True)
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/runs.db"),
            *("--serve-artifacts", "--artifacts-destination", str(self.folder / "artifacts")),
        ]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=own | quiet, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):  # noqa: S310
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.uri} does not answer")

    def signal(self, signum: signal.Signals) -> None:
        """Send a signal to all its processes."""
        os.killpg(self.process.pid, signum)

    def kill(self) -> None:
        """Kill all its processes."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
            self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a tracking server that runs; the tests of a module share it: who kills it starts it again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        server = Server(tmp_path_factory.mktemp("server") / "store", probe.getsockname()[1])
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _make_project(folder: Path) -> Project:
    """Make a project whose path has a space in it."""
    project = folder / "a project"
    project.mkdir(parents=True)
    for name in ("conf", "sweeps"):
        (project / name).symlink_to(ROOT / name)
    return Project(project)


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_works() -> None:
    """Undo ignored signals: a shell hands SIGINT's down to its background jobs, nohup SIGHUP's."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Undo what a command that is called in this process sets for the processes it starts."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def make_project() -> Callable[[Path], Project]:
    return _make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return _make_project(tmp_path)


@pytest.fixture(scope="module")
def module_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that all tests of a module look at."""
    return _make_project(tmp_path_factory.mktemp("module"))


LONG = tuple(
    f"tests/{name}"
    for name in Path(__file__).with_name("long_tests.txt").read_text(encoding="utf-8").splitlines()
    if name and not name.startswith("#")
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `long_tests.txt` names as slow, before those are left out."""
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker(pytest.mark.slow)
