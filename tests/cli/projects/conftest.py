"""An environment with the built wheel and nothing of this checkout, and empty folders to use it in."""

import os
import signal
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Installed:
    """The installed commands, called in a folder."""

    environment: Path
    folder: Path

    def at(self, folder: Path) -> "Installed":
        return Installed(self.environment, folder)

    def variables(self, **extra: str) -> dict[str, str]:
        outer = ("RUNBACK_", "MLFLOW_", "HYDRA_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")
        own = ("SWEEP", "RUN", "ARGS", "VENV", "SCRIPT", "EXTRAS")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(outer) and k not in own}
        bin_folder = str(self.environment / "bin")
        path = os.pathsep.join([bin_folder, kept.get("PATH", os.defpath)])
        return {**kept, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **extra}

    def run(self, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the environment's programs first on PATH."""
        return subprocess.run(
            words,
            cwd=self.folder,
            env=self.variables(**extra),
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    def runback(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.environment / "bin" / "runback"), *arguments, **extra)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make with this environment in the place of the one that it would make."""
        return self.run("make", "--no-print-directory", *arguments, f"VENV={self.environment}")

    def killed(self, at: str, *words: str) -> None:
        """Start a command and kill it after the line that begins with `at`."""
        process = subprocess.Popen(
            words, cwd=self.folder, env=self.variables(PYTHONUNBUFFERED="1"),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(at):
                process.send_signal(signal.SIGKILL)
                break
        process.communicate(timeout=1200)
        assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as it is published."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an empty environment, whose path has a space.

    Its dependencies are those of the environment that runs the tests, without what is installed in place
    there: a folder that a .pth file names has its own .pth files ignored.
    """
    folder = tmp_path_factory.mktemp("environment") / "an environment"
    venv.create(folder, symlinks=True, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    install = [*(sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install")]
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", str(wheel)]
    done = subprocess.run([*install, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder


@pytest.fixture
def installed(environment: Path, tmp_path: Path) -> Installed:
    """Return the installed commands in an empty folder whose path has a space."""
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    return Installed(environment, folder)
