"""The names that a task may store artifacts by: those of the run's record are not among them."""

from pathlib import PurePosixPath

from runback.errors import InputError
from runback.runs.schema import MADE_FROM, RECORD_FOLDER


def own_artifact(name: str) -> str:
    """Return the name of a task's artifact, as `figures/loss.png`.

    Errors: InputError for one that lies outside the run's artifacts, or in the place of the run's record.
    """
    path, is_folder = PurePosixPath(str(name)), str(name).endswith("/")
    is_elsewhere = path.is_absolute() or ".." in path.parts or not path.name
    if is_elsewhere or is_folder or not str(name).isprintable():
        raise InputError(
            "an artifact's name must be a path within the run's artifacts, as figures/loss.png; got "
            f"{name!a:.200}"
        )
    if str(path) in MADE_FROM or f"{path}/".startswith(RECORD_FOLDER):
        raise InputError(f"the artifact {path} is the run's own record: choose another name")
    return str(path)
