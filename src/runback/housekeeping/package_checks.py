"""Whether the installed packages are those that this project works with. Imports none of them."""

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from runback.housekeeping.check import Check, ok
from runback.provenance.machine.environment import packages
from runback.system.text.listing import listed

PACKAGES = ("tensorflow", "keras", "mlflow", "optuna", "hydra-core", "numpy")
"""The packages whose versions decide what works."""

INSTALL = "install the locked packages: make clean setup"

DIFFERENCES_SHOWN = 3
"""Packages that are named as other than in the lock file."""


def version_checks(root: Path) -> list[Check]:
    """Check Python, the packages that matter most, and whether the environment is that of `root`/uv.lock."""
    try:
        wanted = _wanted()
    except PackageNotFoundError:
        return [Check("packages", "warning", "runback is not installed, so its needs are unknown", INSTALL)]
    checks = [_check(name, _installed(name), wanted[name]) for name in ("python", *PACKAGES)]
    return [*checks, *_lock_check(root / "uv.lock")]


def missing_cuda() -> list[str]:
    """Return the packages with CUDA's libraries that TensorFlow names and that are not installed."""
    named = [Requirement(line) for line in requires("tensorflow") or ()]
    cuda = [one.name for one in named if _applies(one, "and-cuda") and not _applies(one)]
    return sorted(name for name in cuda if _installed(name) is None)


def _applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _wanted() -> dict[str, SpecifierSet]:
    """Return the versions that the installed runback asks for."""
    lines = [Requirement(line) for line in requires("runback") or ()]
    always = {one.name: one.specifier for one in lines if _applies(one)}
    named = {name: always.get(name, SpecifierSet()) for name in PACKAGES}
    return {"python": SpecifierSet(metadata("runback")["Requires-Python"] or ""), **named}


def _installed(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _check(name: str, installed: str | None, wanted: SpecifierSet) -> Check:
    if installed is None:
        return Check(name, "problem", "not installed", INSTALL)
    if not wanted.contains(installed, prereleases=True):
        return Check(name, "problem", f"{installed}; runback works with {wanted}", INSTALL)
    return ok(name, installed)


def _lock_check(lock: Path) -> list[Check]:
    """Compare the environment with the lock file, in packages that both have."""
    if not lock.is_file():
        return []
    try:
        locked_packages = tomllib.loads(lock.read_text("utf-8"))["package"]
        locked: dict[str, set[str]] = {}
        for one in locked_packages:
            locked.setdefault(one["name"], set()).add(one.get("version", ""))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [Check("uv.lock", "warning", f"cannot be read: {error}", "restore it: git checkout uv.lock")]
    others = [
        f"{name} {found} (locked: {', '.join(sorted(locked[name]))})"
        for name, found in packages().items()
        if name in locked and found not in locked[name] and name != "runback"
    ]
    if not others:
        return [ok("uv.lock", "the installed packages are the locked ones")]
    message = f"other packages are installed: {listed(others, DIFFERENCES_SHOWN)}"
    return [Check("uv.lock", "warning", message, INSTALL)]
