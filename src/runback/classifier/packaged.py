"""The classifier's own `conf/` and `sweeps/`, which come behind those of a project."""

from pathlib import Path


def _folder() -> Path:
    """Return the folder that they lie in: this package's in a wheel, the repository's in a checkout."""
    package = Path(__file__).resolve().parent
    return package if (package / "conf").is_dir() else package.parents[2]


FOLDER = _folder()


def groups() -> list[str]:
    """Return the names of the config groups, `sweeps` among them."""
    conf = sorted(path.name for path in (FOLDER / "conf").iterdir() if path.is_dir())
    return [*conf, "sweeps"]


def group_files(group: str) -> list[Path]:
    """Return the files of a config group."""
    folder = FOLDER / group if group == "sweeps" else FOLDER / "conf" / group
    return sorted(folder.glob("*.yaml"))
