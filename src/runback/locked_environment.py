"""Makes the Python environment that a run had, from its lock file, with uv."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path

from runback.errors import InputError


def locked_python(project: Path, packages: Collection[str], version: str, environments: Path) -> Path:
    """Return the Python of an environment in `environments` with what `project`/uv.lock says.

    `packages` are the names of those that the run had: they tell which extras and groups of the project were
    installed. `version` is the run's Python. An environment that exists is used again. Errors: InputError,
    where uv is not there or cannot make it.
    """
    uv = _uv()
    chosen = _extras(uv, project, packages)
    lock = (project / "uv.lock").read_bytes()
    key = hashlib.sha256(b"\0".join([lock, version.encode(), *(one.encode() for one in chosen)]))
    environment = environments / key.hexdigest()[:12]
    python = version if version != _this_version() else sys.executable
    _run(uv, project, environment, "sync", "--frozen", "--python", python, *chosen)
    os.utime(environment)  # used now: `runback clean` goes by it
    return environment / "bin" / "python"


def _uv() -> str:
    beside = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if uv is None:
        raise InputError("uv must be installed to make the run's environment: `pip install uv`")
    return uv


def _extras(uv: str, project: Path, packages: Collection[str]) -> list[str]:
    """Return the options for the extras and groups of which the run had packages that nothing else brings."""
    try:
        facts = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the run's pyproject.toml cannot be read: {error}") from error
    extras = facts.get("project", {}).get("optional-dependencies", {})
    options = [f"--extra={name}" for name in extras]
    options += [f"--group={name}" for name in facts.get("dependency-groups", {})]
    always = _locked(uv, project) if options else set()
    return [one for one in options if (_locked(uv, project, one) - always) & set(packages)]


def _locked(uv: str, project: Path, *options: str) -> set[str]:
    """Return the names of all packages that the lock file installs with these options."""
    plain = ("--no-emit-project", "--no-hashes", "--no-header", "--no-annotate")
    told = _run(uv, project, None, "export", "--frozen", *plain, *options)
    return {line.split("==")[0].split(" ")[0].split("[")[0] for line in told.splitlines()}


def _run(uv: str, project: Path, environment: Path | None, *arguments: str) -> str:
    """Return what uv prints. Errors: InputError with the first line of its message."""
    variables = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if environment is not None:
        variables["UV_PROJECT_ENVIRONMENT"] = str(environment)
    done = subprocess.run(  # noqa: S603 - uv, with arguments from here
        [uv, arguments[0], "--quiet", *arguments[1:]],
        cwd=project,
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        told = lines[0].removeprefix("error: ") if lines else f"exit code {done.returncode}"
        raise InputError(f"uv cannot make the run's environment: {told}")
    return done.stdout


def _this_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])
