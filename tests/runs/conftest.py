"""A folder with somebody's own script, and nothing of runback's."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from runback.tracking.sqlite.sqlite_file import sqlite_uri


@dataclass(frozen=True)
class OwnFolder:
    """Runs a person's own script, and runback's commands beside it."""

    folder: Path
    many_in_one_process: Callable[..., list[tuple[int, str, str]]]
    run_python: Callable[..., subprocess.CompletedProcess[str]]

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))}
        return {**kept, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}

    def _options(self, **env: str) -> dict:
        return {"cwd": self.folder, "env": self.environment(**env), "text": True}

    def python(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `python ARGUMENTS`."""
        return self.run_python(arguments, self.folder, self.environment(**env))

    def runback(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return self.python(str(Path(sys.executable).with_name("runback")), *arguments, **env)

    def runback_many(self, *command_lines: Sequence[str]) -> list[tuple[int, str, str]]:
        """Run several command lines as `many_in_one_process` does."""
        return self.many_in_one_process(command_lines, self.folder, self.environment())

    def killed(self, script: str, at: str, *arguments: str, signum: int = signal.SIGKILL, **env: str) -> str:
        """Start a script, send it a signal after the line that begins with `at`; return its run's ID."""
        process = subprocess.Popen(
            [sys.executable, "-u", script, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **self._options(**env),
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(at):
                process.send_signal(signum)
                break
        process.communicate(timeout=1200)
        return self.runs()[0].info.run_id

    def runs(self) -> list:
        """Return all runs, the newest first."""
        client = MlflowClient(sqlite_uri(self.folder / "mlruns" / "mlflow.db"))
        experiments = [one.experiment_id for one in client.search_experiments()]
        return list(client.search_runs(experiments))

    def params(self, run_id: str) -> dict[str, str]:
        with sqlite3.connect(self.folder / "mlruns" / "mlflow.db") as connection:
            return dict(connection.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)))


@pytest.fixture
def own_folder(tmp_path, many_in_one_process, run_python) -> OwnFolder:
    folder = tmp_path / "my work"
    folder.mkdir()
    return OwnFolder(folder, many_in_one_process, run_python)
