"""The private and undocumented parts of Hydra that runback uses, all of them, and the texts of its errors.

tests/sweeping/test_hydra_internals.py has a test for each, which fails when Hydra changes it.
"""

import copy
import re
from typing import Any, Self

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource as FileConfigSource
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import run_job, setup_globals
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

UNKNOWN_CHOICE = re.compile(r"Could not find '([^']*)/([^'/]*)'")
"""Group and name of a choice that no file has."""

UNKNOWN_OVERRIDE = re.compile(r"Could not override '([^']*)'")
"""The key of an override that the config lacks."""

UNKNOWN_KEY = re.compile(r"Key '[^']*' (?:is )?not in (?:struct|'[^']*')\s+full_key: (\S+)")
"""The dotted key that a typed config lacks."""

WRONG_VALUE = re.compile(r"Error merging override ([^=\s]+)=.*\n(.*)")
"""The key of an override, and what is wrong with its value."""

SEVERAL_VALUES = re.compile(r"Ambiguous value for argument '([^']*)'")
"""The override that is a sweep where a single run was asked for."""

MISSING_VALUE = re.compile(r"Missing mandatory value: (\S+)")
"""The dotted key of a value that has no default."""


RAISES = (AssertionError, AttributeError, ImportError, LookupError, RecursionError, TypeError, ValueError)
"""Python's own exceptions, by which Hydra and OmegaConf end over odd overrides."""


class ReadOnce(ConfigRepository):
    """Config files as they were when they were first needed: each is read and parsed once a sweep.

    Hydra parses all of them again for every trial, which takes longer than all else of composing.
    """

    def __init__(self, repository: ConfigRepository) -> None:
        self.sources = repository.sources
        self._read: dict[str, ConfigResult | None] = {}

    def __deepcopy__(self, memo: object) -> Self:
        return copy.copy(self)  # Hydra copies the repository before each composition: what is read stays

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Find the sources again, and read their files again."""
        super().initialize_sources(config_search_path)
        self._read = {}

    def load_config(self, config_path: str) -> ConfigResult | None:
        """Return a copy of what a file held when it was first read; None where there is none."""
        if config_path not in self._read:
            self._read[config_path] = super().load_config(config_path)
        return copy.deepcopy(self._read[config_path])


def reading_once(loader: ConfigLoader) -> ConfigLoader:
    """Return a copy of a config loader that reads each config file once."""
    copied = copy.copy(loader)
    copied.repository = ReadOnce(loader.repository)  # type: ignore[attr-defined]
    return copied


def global_state() -> Any:
    """Return what Hydra keeps in this process besides its plugins, to be entered in another one."""
    return Singleton.get_state()


def enter_state(state: Any) -> None:
    """Let Hydra in this process have the state that `global_state` returned in another one."""
    setup_globals()
    # Hydra would search for plugins again, in every trial; a forked process has them from its server.
    instances = {**state["instances"], Plugins: Plugins.instance()}
    Singleton.set_state({**state, "instances": instances})


def run_trial_job(task: TaskFunction, config: DictConfig, loader: ConfigLoader) -> None:
    """Run a task as Hydra's launchers do, in the folder and with the log of its sweep, without callbacks."""
    run_job(
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
    )
