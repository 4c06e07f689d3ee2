"""A project in a temporary folder, so that a benchmark measures real stores and leaves nothing behind."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

GIT = ("git", "-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")


@contextmanager
def temporary_project() -> Iterator[Path]:
    """Make a folder with this repository's conf/ and sweeps/ the project that runback works in.

    It is a git repository, because every run asks git for its commit.
    """
    with tempfile.TemporaryDirectory(prefix="runback-benchmark-") as name:
        folder = Path(name).resolve()
        for part in ("conf", "sweeps"):
            shutil.copytree(REPOSITORY / part, folder / part)
        (folder / ".gitignore").write_text("mlruns/\n")
        _commit(folder)
        before = dict(os.environ)
        _enter(folder)
        try:
            yield folder
        finally:
            os.environ.clear()
            os.environ.update(before)


def cifar10() -> Path | None:
    """Return where CIFAR-10 lies: what $RUNBACK_CIFAR10 names, else a folder beside this repository."""
    named = os.environ.get("RUNBACK_CIFAR10")
    if named:
        return Path(named).expanduser().absolute()
    beside = REPOSITORY.parent / "shared" / "cifar10"
    return beside if beside.is_dir() else None


def _enter(folder: Path) -> None:
    data = cifar10()
    for variable in [name for name in os.environ if name.startswith(("RUNBACK_", "MLFLOW_", "HYDRA_"))]:
        del os.environ[variable]  # a store or a root of the user's own
    os.environ["RUNBACK_ROOT"] = str(folder)
    if data is not None:
        os.environ["RUNBACK_CIFAR10"] = str(data)


def _commit(folder: Path) -> None:
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Begin"]):
        subprocess.run([*GIT, *arguments], cwd=folder, check=True)
