"""A project in a temporary folder, driven through the command line as a person would."""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]

sys.path.append(str(Path(__file__).parent))  # the servers that tests start are programs too

PATIENCE = 1200.0
"""Seconds after which a command hangs."""

READ_AT_IMPORT = ("CUDA", "DYLD", "HOME", "KERAS", "LD_", "MPL", "OMP", "PYTHON", "TF_", "XLA")
"""How the names of variables begin that Python or a library reads as it starts."""

ANEW = bool(os.environ.get("RUNBACK_TESTS_START_ANEW"))
"""Whether each command gets a Python of its own, which takes seconds longer."""


class PythonServer:
    """Runs Python in processes that `python_server.py` forks."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._requests, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, str(Path(__file__).with_name("python_server.py")), str(its.fileno())]
        with its:
            self._process = subprocess.Popen(command, env=environment, pass_fds=[its.fileno()])
        self._at_import = self._read_at_import(environment)

    @staticmethod
    def _read_at_import(environment: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in environment.items() if name.startswith(READ_AT_IMPORT)}

    def fits(self, environment: dict[str, str]) -> bool:
        """Tell whether a process with this environment could have been forked from the server."""
        return self._read_at_import(environment) == self._at_import

    def run(
        self, words: Sequence[str], folder: Path, environment: dict[str, str], given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Do what `subprocess.run` does with `python WORDS`."""
        request = {"words": list(words), "folder": str(folder), "environment": environment}
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in range(3)]
            streams[0].write(given)
            streams[0].seek(0)
            answer, its = os.pipe()
            stack.callback(os.close, answer)
            try:
                files = [*(stream.fileno() for stream in streams), its]
                socket.send_fds(self._requests, [json.dumps(request).encode()], files)
            finally:
                os.close(its)
            with open(answer, encoding="utf-8", closefd=False) as lines:
                pid = int(lines.readline())
                killer = threading.Timer(PATIENCE, os.kill, (pid, signal.SIGKILL))
                killer.start()
                code = int(lines.readline())
                killer.cancel()
            for stream in streams:
                stream.seek(0)
            return subprocess.CompletedProcess(list(words), code, streams[1].read(), streams[2].read())

    def end(self) -> None:
        """End the server; what it has forked has ended."""
        self._requests.shutdown(socket.SHUT_RDWR)  # what else may hold it
        self._requests.close()
        self._process.wait()


_one_at_a_time = threading.Lock()


def _python_server() -> PythonServer:
    """Return the server of this process; threads that ask at the same time get the same one."""
    with _one_at_a_time:
        return _started_server()


@cache
def _started_server() -> PythonServer:
    return PythonServer(_environment())


@pytest.fixture(scope="session", autouse=True)
def _python_server_ends() -> Iterator[None]:
    yield
    if _started_server.cache_info().currsize:
        _started_server().end()


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
    return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3"}


def _run_python(
    words: Sequence[str], folder: Path, environment: dict[str, str], given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS` and return what it printed; it is forked where that is the same."""
    if not ANEW and _can_be_forked(words, folder) and _python_server().fits(environment):
        return _python_server().run(words, folder, environment, given)
    return _run_anew(words, folder, environment, given)


def _run_anew(
    words: Sequence[str], folder: Path, environment: dict[str, str], given: str = ""
) -> subprocess.CompletedProcess[str]:
    """Do what `python WORDS` does, in a Python of its own."""
    return subprocess.run(
        [sys.executable, *words],
        input=given,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _can_be_forked(words: Sequence[str], folder: Path) -> bool:
    """Tell whether Python gets no options and the program does not choose Keras' backend by itself."""
    if words[0] == "-m":
        return words[1] == "runback"
    source = (
        words[1] if words[0] == "-c" else "" if words[0].startswith("-") else (folder / words[0]).read_text()
    )
    return bool(source) and "KERAS_BACKEND" not in source


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """For what is no Project."""
    return _run_python


RUN_MANY = Path(__file__).with_name("run_many.py").read_text(encoding="utf-8")


def _many_in_one_process(
    command_lines: Sequence[Sequence[str]], folder: Path, environment: dict[str, str]
) -> list[tuple[int, str, str]]:
    """Run several command lines in one process, one after the other.

    Returns each one's exit code, standard output and standard error.
    """
    given = json.dumps([list(line) for line in command_lines])
    done = _run_python(["-c", RUN_MANY], folder, environment, given)
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
        return {**_environment(), **extra}

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `runback ARGUMENTS` in the project and return what it printed."""
        return _run_python(["-m", "runback", *arguments], self.folder, self.environment(**env))

    def run_installed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `runback ARGUMENTS` as a person does: the working directory is not on Python's path."""
        return subprocess.run(
            [Path(sys.executable).with_name("runback"), *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def python(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `python WORDS` in the project."""
        return _run_python(words, self.folder, self.environment(**env))

    def fresh_python(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run `python WORDS` in the project, in a Python that has imported nothing yet."""
        return _run_anew(words, self.folder, self.environment(), given)

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

    def own_conf(self) -> None:
        """Give the project a copy of the repository's conf/, which a test may add to."""
        conf = self.folder / "conf"
        if conf.is_symlink():
            source = conf.resolve()
            conf.unlink()
            shutil.copytree(source, conf)

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
        deadline = time.monotonic() + 600
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


SLURM = ROOT.parent / "shared" / "slurm" / "start.sh"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start a SLURM of two nodes on this machine, and let commands find it; return its folder.

    Its ports are fixed, so one module at a time has it.
    """
    if shutil.which("slurmctld") is None or not SLURM.exists() or os.getuid() != 0:
        pytest.skip("there is no SLURM to start here")
    with Path(tempfile.gettempdir(), "runback-tests-slurm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = tmp_path_factory.mktemp("slurm")
        subprocess.run(["bash", str(SLURM), str(folder)], check=True, capture_output=True, timeout=120)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            yield folder
        for pid in (folder / "pids").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "slurmstepd":
                process.kill()


@pytest.fixture(scope="session")
def postgres():
    """Start a PostgreSQL for this process's tests; each has databases of its own."""
    from postgres_server import TemporaryPostgres, lacking

    if (reason := lacking()) is not None:
        pytest.skip(reason)
    with TemporaryPostgres() as server:
        yield server


class RayNodes:
    """A Ray cluster of nodes on this machine, see `ray_nodes.py`."""

    def __init__(self, *nodes: dict[str, float], **environment: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rays-", dir="/tmp"))  # sockets have short names
        script = str(Path(__file__).with_name("ray_nodes.py"))
        command = [sys.executable, script, str(self.folder), *map(json.dumps, nodes)]
        self._process = subprocess.Popen(
            command,
            env={**_environment(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.address = self._answer()

    def order(self, **order):
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def actors(self, *numbers: int) -> list[psutil.Process]:
        """Return the processes of the actors on these nodes."""
        return [psutil.Process(pid) for number in numbers for pid in self.order(pids=number)]

    def _answer(self):
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def ray_nodes() -> Iterator[Callable[..., RayNodes]]:
    """For clusters of a test's own."""
    started = []

    def start(*nodes, **environment):
        started.append(RayNodes(*nodes, **environment))
        return started[-1]

    yield start
    for cluster in started:
        cluster.end()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayNodes]:
    """A Ray cluster of one node, which all tests share."""
    cluster = RayNodes({"CPU": 8})
    yield cluster
    cluster.end()
