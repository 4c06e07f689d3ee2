"""The private and undocumented parts of Hydra that runback uses, all of them, and the texts of its errors.

tests/sweeping/test_hydra_internals.py has a test for each, which fails when Hydra changes it.
"""

import contextlib
import copy
import functools
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, Self

import yaml
from hydra._internal import utils
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource as FileConfigSource
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, run_job, setup_globals
from hydra.errors import HydraException, OverrideParseException
from hydra.plugins.config_source import ConfigResult
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from runback.errors import InputError, RunbackError
from runback.sweeping.override_error import override_error
from runback.sweeping.sweep_settings import SweeperSettings
from runback.system.config.config_error import config_error
from runback.system.secrecy import redacted
from runback.system.text.terminal import say

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


RAISES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RecursionError, TypeError),
    ValueError,
)
"""Python's own exceptions, by which Hydra and OmegaConf end over odd overrides."""


def report_in_one_line() -> None:
    """Let every Hydra app end of an error of runback's with one line and its exit code, not with a traceback.

    So does an app with runback's sweeper of what Hydra refuses in its overrides.
    `HYDRA_FULL_ERROR=1` brings Hydra's own report back.
    """
    hydra_utils: Any = utils
    job_return: Any = JobReturn
    report, value = hydra_utils.run_and_report, job_return.return_value
    if hasattr(report, "__wrapped__"):  # Hydra imports its plugins again at each start
        return

    @functools.wraps(report)
    def run_and_report(function: Callable[[], Any]) -> Any:
        return report(functools.partial(_in_one_line, function))

    def return_value(job: Any) -> Any:
        error = job._return_value
        if _wants_all():
            return value.fget(job)
        if isinstance(error, RunbackError):
            raise error  # Hydra would print the overrides first
        if (
            isinstance(error, InterpolationResolutionError)
            and job.hydra_cfg.hydra.sweeper._target_ == SweeperSettings._target_
        ):
            raise InputError(config_error(error)) from error
        return value.fget(job)

    hydra_utils.run_and_report = run_and_report
    job_return.return_value = property(return_value, value.fset)


def _in_one_line(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except RunbackError as error:
        if _wants_all():
            raise
        _end(error)
    except (HydraException, OmegaConfBaseException) as error:
        if _wants_all() or _is_of_job(error) or not _is_swept_by_runback(function):
            raise
        if isinstance(error, OverrideParseException):
            _end(InputError(override_error(str(error.override), str(error))))
        _end(InputError(config_error(error)))


def _end(error: RunbackError) -> NoReturn:
    say(redacted(" ".join(str(error).split())), stream=sys.stderr)
    sys.exit(error.exit_code)


def _is_of_job(error: BaseException) -> bool:
    """Tell whether a job raised an exception, and not Hydra at composing its config."""
    return any(frame.f_code is run_job.__code__ for frame, _ in traceback.walk_tb(error.__traceback__))


def _is_swept_by_runback(function: Callable[[], Any]) -> bool:
    """Tell whether the config of the app that Hydra was to run has runback's sweeper, without overrides."""
    name = inspect.getclosurevars(function).nonlocals.get("config_name")
    app: Any = GlobalHydra.instance().hydra
    try:
        config = app.config_loader.load_configuration(name, [], RunMode.MULTIRUN)
    except Exception:  # then nobody knows
        return False
    return bool(config.hydra.sweeper.get("_target_") == SweeperSettings._target_)


def _wants_all() -> bool:
    return os.environ.get("HYDRA_FULL_ERROR", "").lower() in ("1", "true")


@contextlib.contextmanager
def config_errors() -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise for a config in this block into InputError."""
    try:
        yield
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, RecursionError) as error:
        if _wants_all():
            raise
        raise InputError(config_error(error)) from error


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
