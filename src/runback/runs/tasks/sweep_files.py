"""Lets Hydra find the files of a project's `sweeps/`, and behind them those that a package brings."""

import os
from pathlib import Path, PurePosixPath
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin

from runback.sweeping.hydra_internals import FileConfigSource
from runback.tracking.layout import ROOT_VARIABLE

GROUP = "sweeps"


class SweepFiles(FileConfigSource):  # type: ignore[misc]
    """The config group `sweeps` of the folder that a path `sweeps://FOLDER` names, and nothing else there."""

    @staticmethod
    def scheme() -> str:
        """Return how such a path begins."""
        return GROUP

    def available(self) -> bool:
        """Return True: a project without sweeps is fine."""
        return True

    def load_config(self, config_path: str) -> ConfigResult:
        """Read a file of the group."""
        if not _is_of_group(config_path):
            raise ConfigLoadError(f"Config not found : {config_path}")
        return super().load_config(config_path)

    def is_group(self, config_path: str) -> bool:
        """Tell whether there is such a group here."""
        return _is_of_group(config_path) and bool(super().is_group(config_path))

    def is_config(self, config_path: str) -> bool:
        """Tell whether there is such a file here."""
        return _is_of_group(config_path) and bool(super().is_config(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the names in a group."""
        return super().list(config_path, results_filter) if self.is_group(config_path) else []


class SweepFilesPath(SearchPathPlugin):  # type: ignore[misc]
    """Adds the project's `sweeps/` to where Hydra searches, and then `conf/` and `sweeps/` of a package."""

    packaged: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add them behind the app's own conf/; `hydra_app.enter_project` has set the variable."""
        search_path.append("runback", f"{GROUP}://{os.environ[ROOT_VARIABLE]}")
        if self.packaged is not None:
            search_path.append("runback", f"file://{self.packaged / 'conf'}")
            search_path.append("runback", f"{GROUP}://{self.packaged}")


def add_sweep_files(packaged: Path | None = None) -> None:
    """Make Hydra search this project's `sweeps/` too, from now on, and what lies in a package's folder."""
    SweepFilesPath.packaged = packaged
    for plugin in (SweepFiles, SweepFilesPath):
        Plugins.instance().register(plugin)


def sweep_names(root: Path, packaged: Path | None = None) -> list[str]:
    """Return the names of the sweeps that a project has, with those of a package that come behind them."""
    folders = [root] if packaged is None else [root, packaged]
    return sorted({file.stem for folder in folders for file in (folder / GROUP).glob("*.yaml")})


def _is_of_group(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return parts[:1] == (GROUP,) and ".." not in parts
