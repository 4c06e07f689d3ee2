"""A project in a temporary folder, driven through the command line as a person would."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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

    def client(self):  # noqa: ANN201 - mlflow is imported by the tests that need it
        """Return an MLflow client of the project's store."""
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder / 'mlruns' / 'mlflow.db'}")

    def runs(self):  # noqa: ANN201
        """Return all runs in the project's store, the oldest first; none where there is no store."""
        if not (self.folder / "mlruns" / "mlflow.db").exists():
            return []
        client = self.client()
        experiments = [e.experiment_id for e in client.search_experiments()]
        return client.search_runs(experiments, order_by=["attributes.start_time ASC"])


def make_project(folder: Path) -> Project:
    """Make a project whose path has a space in it."""
    project = folder / "a project"
    project.mkdir(parents=True)
    for name in ("conf", "sweeps"):
        (project / name).symlink_to(ROOT / name)
    return Project(project)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)
