"""Makes the Python environment that a run had, from its lock file, with uv."""

import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from runback.errors import InputError
from runback.provenance.machine.lock_file import read_lock
from runback.system import signing_key
from runback.system.files.regular_file import read_regular, write_regular

VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,3}\.[0-9]{1,3}((a|b|rc)[0-9]{1,2})?")

EXTRA = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,100}[A-Za-z0-9])?")
"""A name of an extra or a group, which is an argument to uv."""

LONGEST_MESSAGE = 500
"""Characters of what uv says that are told."""

MARK = ".runback"
"""The file in an environment by which this user knows it again, signed for its place."""

MAX_EXTRAS = 100
"""Uv is asked about each of them."""


@dataclass(frozen=True)
class Terms:
    """The way to use a stranger's lock file: no setting of theirs counts, nothing is built unless `build`.

    `origin` is what its environment belongs to; others do not use it.
    """

    origin: str
    build: bool


def locked_python(
    project: Path, packages: Collection[str], version: str, environments: Path, terms: Terms | None = None
) -> Path:
    """Return the Python of an environment in `environments` with what `project`/uv.lock says.

    `packages` are the names of those that the run had: they tell which extras and groups of the project were
    installed. `version` is the run's Python. `terms` are those for a stranger's project. An environment that
    exists is used again. Errors: InputError, where uv is not there or cannot make it.
    """
    refuse_version(version)
    uv = _Uv(_find_uv(), project, terms)
    chosen = _extras(uv, project, packages)
    lock = (project / "uv.lock").read_bytes()
    facts = [lock, *(one.encode() for one in (version, *chosen, *(() if terms is None else (str(terms),))))]
    environment = environments / hashlib.sha256(b"\0".join(facts)).hexdigest()[:12]
    python = version if version != _this_version() else sys.executable
    _remove_planted(environment)
    uv.run("sync", "--frozen", "--python", python, *_careful(lock, terms), *chosen, environment=environment)
    write_regular(environment / MARK, (signing_key.signature(_place(environment)) or "").encode())
    os.utime(environment)  # used now: `runback clean` goes by it
    return environment / "bin" / "python"


def _remove_planted(environment: Path) -> None:
    """Remove an environment that this user has not made: its Python could be anybody's program."""
    if environment.is_symlink():
        environment.unlink()
    elif environment.exists() and not _is_own(environment):
        shutil.rmtree(environment)


def _is_own(environment: Path) -> bool:
    try:
        signed = read_regular(environment / MARK).decode()
    except (OSError, ValueError):
        return False
    return signing_key.is_own(signed, _place(environment))


def _place(environment: Path) -> dict[str, bytes]:
    return {"environment": os.fsencode(environment.resolve())}


def refuse_version(version: str) -> None:
    """Raise InputError for what is no version of Python that runback runs on; uv would run any path."""
    supported = metadata("runback")["Requires-Python"]
    if not VERSION.fullmatch(version) or not SpecifierSet(supported).contains(version, prereleases=True):
        raise InputError(f"the run's Python must be a version {supported}; got {version!r}")


def _careful(lock: bytes, terms: Terms | None) -> list[str]:
    """Return the options for uv with which a stranger's packages are installed."""
    if terms is None:
        return []
    # Under a registry's name a file from elsewhere would be in uv's cache for every project.
    alone = ["--no-cache"] if read_lock(lock).elsewhere else []
    return alone if terms.build else [*alone, "--no-build", "--no-install-workspace"]


def _find_uv() -> str:
    beside = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=os.pathsep.join([beside, os.environ.get("PATH", os.defpath)]))
    if uv is None:
        raise InputError("uv must be installed to make the run's environment: `pip install uv`")
    return uv


def _extras(uv: "_Uv", project: Path, packages: Collection[str]) -> list[str]:
    """Return the options for the extras and groups of which the run had packages that nothing else brings."""
    try:
        facts = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"the run's pyproject.toml cannot be read: {error}") from error
    options = [f"--{kind}={name}" for kind, name in _named(facts)]
    always = _locked(uv) if options else set()
    return [one for one in options if (_locked(uv, one) - always) & set(packages)]


def _named(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the extras and groups of a project. Errors: InputError where it has too many, or odd names."""
    try:
        extras, groups = (
            facts.get("project", {}).get("optional-dependencies", {}),
            facts.get("dependency-groups", {}),
        )
        found = [*(("extra", str(name)) for name in extras), *(("group", str(name)) for name in groups)]
    except (AttributeError, TypeError) as error:
        raise InputError("the run's pyproject.toml has extras of another form") from error
    if len(found) > MAX_EXTRAS or not all(EXTRA.fullmatch(name) for _, name in found):
        raise InputError(
            f"the run's pyproject.toml must have at most {MAX_EXTRAS} extras and groups, by plain names"
        )
    return found


def _locked(uv: "_Uv", *options: str) -> set[str]:
    """Return the names of all packages that the lock file installs with these options."""
    plain = ("--no-emit-project", "--no-hashes", "--no-header", "--no-annotate")
    output = uv.run("export", "--frozen", *plain, *options)
    return {line.split("==")[0].split(" ")[0].split("[")[0] for line in output.splitlines()}


@dataclass(frozen=True)
class _Uv:
    """The program uv, in a project."""

    program: str
    project: Path
    terms: Terms | None

    def run(self, verb: str, *arguments: str, environment: Path | None = None) -> str:
        """Return what uv prints. Errors: InputError with its message."""
        variables = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
        if environment is not None:
            variables["UV_PROJECT_ENVIRONMENT"] = str(environment)
        settings = [] if self.terms is None else _own_settings()
        done = subprocess.run(  # noqa: S603 - uv, with arguments from here
            [self.program, verb, "--quiet", *settings, *arguments],
            cwd=self.project,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            check=False,
        )
        if done.returncode:
            raise InputError(f"uv cannot make the run's environment: {self._message(done)}")
        return done.stdout

    def _message(self, done: "subprocess.CompletedProcess[str]") -> str:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        # Where it finds no terminal, uv folds a message at 80 characters.
        message = " ".join(itertools.takewhile(lambda line: not line.startswith("hint: "), lines))
        message = message.removeprefix("error: ")[:LONGEST_MESSAGE] or f"exit code {done.returncode}"
        is_unbuilt = self.terms is not None and not self.terms.build and "--no-build" in message
        return f"{message}; --build lets it run its build code" if is_unbuilt else message


def _own_settings() -> list[str]:
    """Return the options by which uv reads the user's settings, and none in the project that it works on.

    Those could move its cache, its registries and where it downloads Python from.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    own = Path(home) / "uv" / "uv.toml"
    if os.environ.get("UV_CONFIG_FILE"):
        return []
    return ["--config-file", str(own)] if own.is_file() else ["--no-config"]


def _this_version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])
