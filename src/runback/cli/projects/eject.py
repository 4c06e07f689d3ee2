"""Copies a config group of the classifier into a project, where its files may be changed."""

import os
from pathlib import Path

from runback.classifier import packaged
from runback.errors import InputError
from runback.system.text.listing import did_you_mean
from runback.system.text.terminal import say
from runback.tracking.layout import find_project


def eject(group: str) -> None:
    """Copy the files of a group into the project that the working directory is in, and say so.

    Errors: InputError outside a project, for a group that there is not, and where a file exists: then
    nothing is copied.
    """
    root = find_project()
    if root is None:
        raise InputError(
            "there is no project here, no pyproject.toml with [tool.runback]: runback init NAME makes one"
        )
    groups = packaged.groups()
    if group not in groups:
        hint = did_you_mean(group, groups, f"expected one of {', '.join(groups)}")
        raise InputError(f"unknown group '{group}': {hint}")
    within = Path(group) if group == "sweeps" else Path("conf", group)
    files = packaged.group_files(group)
    present = [within / file.name for file in files if os.path.lexists(root / within / file.name)]
    if present:
        raise InputError(f"{present[0]} exists already, and nothing was copied: move it away first")
    try:
        (root / within).mkdir(parents=True, exist_ok=True)
        for file in files:
            with (root / within / file.name).open("xb") as copy:
                copy.write(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot write {within}/ in {root}: {error.strerror}") from error
    names = ", ".join(file.stem for file in files if not file.stem.startswith("_"))
    say(f"copied {len(files)} files into {within}/, which come first from now on: {names}")
