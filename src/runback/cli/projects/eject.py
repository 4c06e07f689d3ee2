"""Copies a config group of the classifier into a project, where its files may be changed."""

import os
from pathlib import Path

from runback.classifier import packaged
from runback.errors import InputError
from runback.system.text.listing import did_you_mean
from runback.system.text.terminal import say
from runback.tracking.layout import find_project


def eject(reference: str) -> None:
    """Copy the files of GROUP, or the one of GROUP/CHOICE, into the project of the working directory; say so.

    Errors: InputError outside a project, for a group or a choice that there is not, and where a file exists:
    then nothing is copied.
    """
    root = find_project()
    if root is None:
        raise InputError(
            "there is no project here, no pyproject.toml with [tool.runback]: runback init NAME makes one"
        )
    group, files = _asked(reference)
    within = Path(group) if group == "sweeps" else Path("conf", group)
    present = [file for file in files if os.path.lexists(root / within / file.name)]
    if present:
        others = [file.stem for file in files if file not in present]
        hint = (
            f"move it away, or copy one other, as --eject {group}/{others[-1]}" if others else "move it away"
        )
        raise InputError(f"{within / present[0].name} exists already, and nothing was copied: {hint}")
    try:
        (root / within).mkdir(parents=True, exist_ok=True)
        for file in files:
            with (root / within / file.name).open("xb") as copy:
                copy.write(file.read_bytes())
    except OSError as error:
        raise InputError(f"cannot write {within}/ in {root}: {error.strerror}") from error
    names = ", ".join(file.name for file in files)
    say(f"copied into {within}/, where they come before runback's own: {names}")


def _asked(reference: str) -> tuple[str, list[Path]]:
    """Return the group that is asked for, and its files that are. Errors: InputError."""
    group, is_one, choice = reference.partition("/")
    groups = packaged.groups()
    if group not in groups:
        hint = did_you_mean(group, groups, f"expected one of {', '.join(groups)}")
        raise InputError(f"unknown group '{group}': {hint}")
    files = {file.stem: file for file in packaged.group_files(group)}
    if not is_one:
        return group, [*files.values()]
    if choice not in files:
        hint = did_you_mean(choice, files, f"expected one of {', '.join(files)}")
        raise InputError(f"unknown {group} '{choice}': {hint}")
    return group, [files[choice]]
