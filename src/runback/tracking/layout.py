"""Paths: of a project, and of everything that runback writes in it."""

import contextlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from runback.errors import InputError, StoreError
from runback.system.files.contained_path import inside, refuse_links_out
from runback.system.home_folder import expanded
from runback.system.secrecy import redacted
from runback.tracking.sqlite.sqlite_file import sqlite_uri
from runback.tracking.tags import FOLDER_TAG

ROOT_VARIABLE = "RUNBACK_ROOT"
"""The environment variable that names the project's folder; without it the folder is searched upwards."""

MLRUNS_VARIABLE = "RUNBACK_MLRUNS"
"""The environment variable that names the folder of all that is written; without it `<root>/mlruns`."""

MIRROR = "metrics.jsonl"
"""Metrics in the run's folder, a line for each point in time: `{"step": 1, "time": 1.7e9, "metrics": {}}`."""

OUTBOX = "outbox"
"""The folder in a run's with all that its store has not taken yet; its delivery alone removes them."""

CHECKPOINTS = "checkpoint-*.npz"
"""The pattern of the names of a training's checkpoints in its folder."""

CONFIRM = "confirm"
"""The folder in a sweep's with the folders of the runs that confirm its trials, and their results."""

MAX_NAME = 200
"""Bytes of a folder's name: a file system takes 255, and some names get a suffix."""

SAMPLES = "system.jsonl"
"""The system metrics in the run's folder, in the same form."""


def project_root(start: Path | None = None) -> Path:
    """Return the project's folder, absolute, links resolved.

    That is the one that `find_project` returns; else the top of the Git repository that `start` (default: the
    working directory) is in; else `start` itself. Raises InputError as `find_project` does.
    """
    found = find_project(start)
    if found is not None:
        return found
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def find_project(start: Path | None = None) -> Path | None:
    """Return the folder of the project that `start` (default: the working directory) is in, links resolved.

    That is `$RUNBACK_ROOT` when it is set, else the nearest folder at or above `start` whose pyproject.toml
    has [tool.runback], or which holds conf/train.yaml; None where none does. Raises InputError where the
    variable names no folder.
    """
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        root = expanded(named, ROOT_VARIABLE).resolve()
        if not root.is_dir():
            raise InputError(f"{ROOT_VARIABLE} must name a folder; got {named!r}")
        return root
    here = (start or Path.cwd()).resolve()
    return next((folder for folder in (here, *here.parents) if _is_project(folder)), None)


def _is_project(folder: Path) -> bool:
    """Tell whether a folder says of itself that it is a project's."""
    if (folder / "conf" / "train.yaml").is_file():
        return True
    try:
        facts = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(facts.get("tool"), dict) and "runback" in facts["tool"]


@dataclass(frozen=True)
class Layout:
    """The absolute paths of what is written; everything lies under `<root>/mlruns`, or `$RUNBACK_MLRUNS`."""

    root: Path

    @property
    def mlruns(self) -> Path:
        """The folder of all that is written, links resolved."""
        named = os.environ.get(MLRUNS_VARIABLE)
        return (expanded(named, MLRUNS_VARIABLE) if named else self.root / "mlruns").resolve()

    @property
    def database(self) -> Path:
        """MLflow's SQLite database."""
        return self.mlruns / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """Artifacts, as `<experiment>/<run ID>/artifacts/...`."""
        return self.mlruns / "artifacts"

    @property
    def sweeps(self) -> Path:
        """One folder a sweep."""
        return self.mlruns / "sweeps"

    @property
    def runs(self) -> Path:
        """One folder a single run."""
        return self.mlruns / "runs"

    def feedback(self, run_id: str) -> Path:
        """The file with what people say of a run's answers. Raises InputError where that is no run's ID."""
        return self.mlruns / "feedback" / f"{_checked_id(run_id)}.jsonl"

    def evaluation(self, run_id: str) -> Path:
        """The folder of an evaluation that is not stored whole yet. Raises InputError as above."""
        return self.mlruns / "evaluations" / _checked_id(run_id)

    @property
    def checkouts(self) -> Path:
        """Working trees of other commits, while a run is reproduced in one."""
        return self.mlruns / "checkouts"

    @property
    def environments(self) -> Path:
        """Environments with other packages, one a lock file."""
        return self.mlruns / "environments"

    @property
    def data(self) -> Path:
        """The cache of decoded images. Raises InputError where it is a link that leads out."""
        folder = self.mlruns / "data"
        return self.inside(folder, "mlruns/data") if folder.is_symlink() else folder

    def sweep(self, name: str) -> Path:
        """Return the folder of one sweep.

        Raises InputError when `name` cannot be a folder's name, or that folder leads out of mlruns/.
        """
        return self.inside(self.sweeps / folder_name(name, "a sweep's name"), f"the folder of sweep {name}")

    def inside(self, path: str | PurePath, what: str) -> Path:
        """Return where something in mlruns/ is, links resolved: `path` is absolute, or from there.

        Whoever wrote it down, it stays in there, or raises InputError; `what` opens the message.
        """
        return inside(self.mlruns, path, what)

    def refuse_links(self) -> None:
        """Raise InputError where one of the folders and files in mlruns/ is a link that leads out.

        The images' cache aside, which most commands do not need: see `data`.
        """
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(self.mlruns):
                if entry.is_symlink() and entry.name != "data":
                    self.inside(entry.name, f"mlruns/{entry.name}")

    def run_folder(self, tags: Mapping[str, str], run_id: str) -> Path | None:
        """Return the folder that a run's tags name; None where they name none.

        Raises InputError for one outside mlruns/, or with links that lead out: anybody can write a tag.
        """
        named = tags.get(FOLDER_TAG)
        if named is None:
            return None
        what = f"the folder of run {run_id}"
        if PurePath(named).is_absolute():
            raise InputError(f"{what} must be named from {self.mlruns}; got {named!r}")
        folder = self.inside(named, what)
        refuse_links_out(folder, self.mlruns, what)
        return folder

    def folder_tags(self, folder: Path) -> dict[str, str]:
        """Return the tag that tells a run's folder; none where it lies outside mlruns/."""
        if not folder.is_relative_to(self.mlruns):
            return {}
        return {FOLDER_TAG: folder.relative_to(self.mlruns).as_posix()}


def training_folders(sweep: Path) -> list[Path]:
    """Return what may be the folders of a sweep's trainings: its trials', and those of its confirm stage."""
    return [folder for pattern in ("*/", f"{CONFIRM}/*/") for folder in sorted(sweep.glob(pattern))]


def waits(folder: Path) -> bool:
    """Return whether anything below a run's or a sweep's folder is still to be delivered to the store."""
    return any(not path.name.startswith(".") for path in folder.rglob(f"{OUTBOX}/*"))


def store_uri(layout: Layout) -> str:
    """Return where runs are recorded: `$MLFLOW_TRACKING_URI`, else the project's own database. StoreError."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(layout.database)


def check_writable(layout: Layout) -> None:
    """Raise StoreError unless mlruns/ can be written to; creates nothing where it does not exist yet.

    Errors also: InputError where a link in it leads out.
    """
    folder = layout.mlruns
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"MLflow cannot use a folder whose name is no text in UTF-8: {str(folder)!a}; rename it"
        ) from None
    if folder.exists() and not folder.is_dir():
        raise StoreError(f"{folder} must be a folder; it is a file: move it away")
    layout.refuse_links()
    refuse_unwritable(folder if folder.exists() else folder.parent)


def refuse_unwritable(folder: Path) -> None:
    """Raise StoreError unless files can be made in `folder`, which exists."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise StoreError(f"the folder {folder} is not writable: give yourself write permission there")


def folder_name(name: str, what: str) -> str:
    """Return `name`, or raise InputError when it cannot name a single folder. `what` opens the message."""
    if not name.strip(". ") or set(name) & set("/\\\0"):
        raise InputError(f"{what} must be usable as a folder's name; got {name!a:.200}")
    if not name.isprintable():
        raise InputError(f"{what} must be a printable name; got {name!a:.200}")
    if len(name.encode()) > MAX_NAME:
        raise InputError(
            f"{what} must be a name of at most {MAX_NAME} bytes; got {len(name.encode()):,}: {name!a:.60}"
        )
    if (clean := redacted(name)) != name:
        raise InputError(f"{what} names a folder and must hold no secret; got {clean!r}: choose another name")
    return name


def _checked_id(run_id: str) -> str:
    if not re.fullmatch("[0-9a-f]{32}", run_id):
        raise InputError(f"expected a run's ID, 32 hexadecimal digits; got {run_id!a:.80}")
    return run_id
