"""Says which private part of Hydra is no longer what `hydra_internals` takes it for."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra._internal.utils
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.sweeping import hydra_internals
from runback.sweeping.hydra_internals import (
    FileConfigSource,
    ReadOnce,
    enter_state,
    global_state,
    reading_once,
    report_in_one_line,
)

CONFIG = """
defaults: [fitting: schema, _self_, model: small]
epochs: 3
rate: ???
path: ${rate}
"""


@dataclass
class Fitting:
    epochs: int = 3


@pytest.fixture(autouse=True)
def _schema() -> Iterator[None]:
    ConfigStore.instance().store(group="fitting", name="schema", node=Fitting)
    yield
    GlobalHydra.instance().clear()


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """Return a folder of configs: one file and the group `model`."""
    (tmp_path / "model").mkdir()
    (tmp_path / "train.yaml").write_text(CONFIG)
    (tmp_path / "model" / "small.yaml").write_text("units: 3\n")
    return tmp_path


@pytest.fixture
def loader(conf: Path) -> ConfigLoader:
    setup_globals()
    return ConfigLoaderImpl(create_config_search_path(str(conf)))


def load(loader: ConfigLoader, overrides: list[str], mode: RunMode = RunMode.RUN) -> DictConfig:
    return loader.load_configuration("train", overrides, mode)


def error_text(conf: Path, *overrides: str) -> str:
    """Return what Hydra says of overrides that it refuses, its cause included, as runback reads it."""
    with initialize_config_dir(str(conf), version_base="1.3"), pytest.raises(Exception) as caught:  # noqa: PT011
        compose("train", list(overrides)).path  # noqa: B018 - it may be missing
    assert isinstance(caught.value, (HydraException, OmegaConfBaseException))
    cause = caught.value.__cause__
    return f"{caught.value}\n{cause}" if isinstance(cause, OmegaConfBaseException) else str(caught.value)


def groups(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    found = pattern.search(text)
    assert found, f"Hydra says it in other words, which {pattern.pattern!r} does not match: {text}"
    return found.groups()


def test_hydra_says_which_choice_is_unknown(conf: Path) -> None:
    assert groups(hydra_internals.UNKNOWN_CHOICE, error_text(conf, "model=large")) == ("model", "large")


def test_hydra_says_which_override_has_no_key(conf: Path) -> None:
    assert groups(hydra_internals.UNKNOWN_OVERRIDE, error_text(conf, "epoch=3")) == ("epoch",)


def test_hydra_says_which_key_is_missing_in_a_structured_config(conf: Path) -> None:
    (conf / "fitting").mkdir()
    (conf / "fitting" / "fast.yaml").write_text("defaults: [schema]\nepoch: 1\n")
    assert groups(hydra_internals.UNKNOWN_KEY, error_text(conf, "fitting=fast")) == ("fitting.epoch",)


def test_hydra_says_which_value_is_wrong(conf: Path) -> None:
    key, reason = groups(hydra_internals.WRONG_VALUE, error_text(conf, "fitting.epochs=many"))
    assert key == "fitting.epochs"
    assert reason == "Value 'many' of type 'str' could not be converted to Integer"


def test_hydra_says_which_override_has_several_values(conf: Path) -> None:
    assert groups(hydra_internals.SEVERAL_VALUES, error_text(conf, "epochs=1,2")) == ("epochs=1,2",)


def test_hydra_says_which_value_is_missing(conf: Path) -> None:
    assert groups(hydra_internals.MISSING_VALUE, error_text(conf))


def test_callbacks_without_a_config_do_nothing() -> None:
    assert Callbacks().callbacks == []
    assert [*inspect.signature(HydraContext).parameters] == ["config_loader", "callbacks"]


def test_config_repository_keeps_its_sources_and_nothing_else(loader: Any) -> None:
    assert type(loader.repository) is ConfigRepository
    assert vars(loader.repository).keys() == {"sources"}, "ReadOnce has to copy more of a ConfigRepository"
    assert {"initialize_sources", "load_config"} <= vars(ConfigRepository).keys()


def test_config_loader_reads_files_through_its_repository(loader: ConfigLoader, conf: Path) -> None:
    copied = reading_once(loader)
    assert isinstance(copied.repository, ReadOnce)
    assert load(copied, []).model.units == 3
    (conf / "model" / "small.yaml").write_text("units: 4\n")
    assert load(copied, []).model.units == 3, "Hydra does not ask the loader's repository any more"
    assert load(loader, []).model.units == 4


def test_config_loader_composes_a_job_of_a_sweep_from_the_config_of_the_sweep(loader: ConfigLoader) -> None:
    assert [*inspect.signature(loader.load_sweep_config).parameters] == ["master_config", "sweep_overrides"]
    composed = loader.load_sweep_config(load(loader, [], RunMode.MULTIRUN), ["epochs=7"])
    assert composed.epochs == 7
    assert "model" in composed.hydra.runtime.choices
    assert {"id", "num"} <= composed.hydra.job.keys()
    assert {"dir", "subdir"} <= composed.hydra.sweep.keys()
    assert "output_subdir" in composed.hydra


def test_state_of_singletons_is_a_dict_that_lacks_the_plugins() -> None:
    setup_globals()
    state = global_state()
    assert Plugins not in state["instances"]
    plugins = Plugins.instance()
    enter_state(state)
    assert Plugins.instance() is plugins, "Singleton.set_state looks for plugins again"
    assert Singleton._instances[Plugins] is plugins


def test_run_job_takes_what_launchers_give_it() -> None:
    names = [*inspect.signature(run_job).parameters]
    assert names[:5] == ["task_function", "config", "job_dir_key", "job_subdir_key", "hydra_context"]


def test_file_source_has_the_methods_that_sweep_files_overrides() -> None:
    overridden = {"scheme", "available", "load_config", "is_group", "is_config", "list"}
    assert overridden <= vars(FileConfigSource).keys()
    assert [*inspect.signature(FileConfigSource.list).parameters] == ["self", "config_path", "results_filter"]


def test_hydra_has_no_further_flag_than_runback_refuses_or_takes() -> None:
    taken = {
        "--help",
        "-h",
        "--hydra-help",
        "--multirun",
        "-m",
        "--resolve",
        "--cfg",
        "-c",
        "--package",
        "-p",
    }
    left_out = {
        *("--version", "--run", "-r", "--shell-completion", "-sc", "--config-path", "-cp"),
        *("--config-name", "-cn", "--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
    }
    parser = hydra._internal.utils.get_args_parser()
    assert {flag for action in parser._actions for flag in action.option_strings} == taken | left_out


def test_hydra_reports_errors_by_the_function_that_is_replaced() -> None:
    report_in_one_line()
    report = hydra._internal.utils.run_and_report.__wrapped__
    assert "sys.exit(1)" in inspect.getsource(report)
    assert "run_and_report(" in inspect.getsource(hydra._internal.utils._run_hydra)
    report_in_one_line()
    assert hydra._internal.utils.run_and_report.__wrapped__ is report, (
        "it is replaced once, however often Hydra starts"
    )


def test_a_job_keeps_what_it_raised_by_the_name_that_is_read() -> None:
    job = JobReturn(overrides=[])
    job.return_value = InputError("no")
    job.status = JobStatus.FAILED
    assert isinstance(job._return_value, InputError)
    report_in_one_line()
    with pytest.raises(InputError):
        _ = job.return_value
