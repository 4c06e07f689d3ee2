"""Where a sweep is that somebody names."""

from pathlib import Path

from runback.errors import InputError
from runback.system.text.listing import did_you_mean
from runback.tracking.layout import Layout, project_root


def folder_of(name: str) -> Path:
    """Return the folder of a sweep that has been started. Errors: InputError."""
    layout = Layout(project_root())
    folder = layout.sweep(name)
    if not folder.is_dir():
        known = sorted(path.name for path in layout.sweeps.glob("*/"))
        hint = did_you_mean(name, known, f"there are {', '.join(known) or 'none'}")
        raise InputError(f"unknown sweep '{name}': {hint}")
    return folder
