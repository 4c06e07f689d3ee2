"""Keeps the artifacts that MLflow's server reads and writes inside one folder.

Their locations are in the database, where whoever can write to it may have put any path, any address, or the
path of a link. All of MLflow's handlers get at artifacts by `get_artifact_repository`, which asks the
registry that is replaced here; tests/tracking/test_confined.py fails when MLflow goes another way.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED
from mlflow.store.artifact import artifact_repository_registry
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from runback.system.secrecy import redacted
from runback.system.text.escape import for_terminal
from runback.tracking.mlflow_internals import check_new_experiments, replace_artifact_registry

_Registry = artifact_repository_registry.ArtifactRepositoryRegistry


class Confined(LocalArtifactRepository):
    """Artifacts in a folder inside `root`; what lies elsewhere, by whatever way, is refused with 403."""

    def __init__(self, artifact_uri: str, root: Path) -> None:
        if _scheme(artifact_uri) not in ("", "file"):
            raise _refused(artifact_uri, root)
        super().__init__(artifact_uri)  # type: ignore[no-untyped-call]
        self._root = root
        self._location = artifact_uri
        if unquote(self.artifact_dir) != self.artifact_dir:  # MLflow decodes it again where it deletes
            raise _refused(artifact_uri, root)
        self._check("")

    def get_local_path(self, artifact_path: str) -> str:  # noqa: D102 - MLflow's own, as are those below
        self._check(artifact_path)
        return str(super().get_local_path(artifact_path))

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:  # noqa: D102
        self._check(path)
        return [info for info in super().list_artifacts(path) if self._is_inside(info.path)]  # type: ignore[no-untyped-call]

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Copy a folder's files one by one: MLflow's own would write where a link leads."""
        for file in sorted(path for path in Path(local_dir).rglob("*") if path.is_file()):
            parts = (artifact_path or "", file.parent.relative_to(local_dir).as_posix())
            self.log_artifact(str(file), os.path.normpath("/".join(part for part in parts if part)))  # type: ignore[no-untyped-call]

    def delete_artifacts(self, artifact_path: str | None = None) -> None:  # noqa: D102
        self._check(artifact_path)
        self._check(unquote(artifact_path or ""))  # as MLflow reads it here, and only here
        super().delete_artifacts(artifact_path)  # type: ignore[no-untyped-call]

    def download_trace_data(self) -> dict[str, Any]:  # noqa: D102
        self._check("traces.json")
        return super().download_trace_data()

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._check(remote_file_path)
        super()._download_file(remote_file_path, local_path)  # type: ignore[no-untyped-call]

    def _get_destination_artifact_path(
        self, artifact_file_name: str, artifact_path: str | None = None
    ) -> tuple[str, str]:
        self._check(artifact_path)
        folder, file = super()._get_destination_artifact_path(artifact_file_name, artifact_path)
        self._check(os.path.relpath(file, self.artifact_dir))
        return folder, file

    def _is_directory(self, artifact_path: str | None) -> bool:
        return self._is_inside(artifact_path) and bool(super()._is_directory(artifact_path))  # type: ignore[no-untyped-call]

    def _check(self, path: str | None) -> None:
        if not self._is_inside(path):
            raise _refused("/".join(part for part in (self._location, path) if part), self._root)

    def _is_inside(self, path: str | None) -> bool:
        return is_inside(Path(self.artifact_dir, path or ""), self._root)


class ConfinedRegistry(_Registry):
    """Makes a `Confined` repository of every location: no other kind of store can be asked."""

    def __init__(self, root: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._root = root

    def get_artifact_repository(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> ArtifactRepository:
        """Return the artifacts at a location; an MlflowException, which is a 403, for one outside."""
        return Confined(artifact_uri, self._root)


def confine(root: Path) -> None:
    """Have MLflow, in this process, read and write artifacts inside `root` only, and nothing at all by URLs.

    A new experiment has its location there as well: what trains in it later writes where that says.
    """
    replace_artifact_registry(ConfinedRegistry(root))  # type: ignore[no-untyped-call]
    check_new_experiments(lambda location: Confined(location, root))


def _scheme(uri: str) -> str:
    try:
        return urlsplit(uri).scheme
    except ValueError:  # a host that is none
        return "?"


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a path lies in a folder once all links are followed."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # no path at all, too long for one, links in a circle
        return False


def _refused(location: str, root: Path) -> MlflowException:
    clean = for_terminal(redacted(location))
    return MlflowException(
        f"{clean} lies outside {root}: the artifacts of this store are there, no others are read or written",
        error_code=PERMISSION_DENIED,
    )
