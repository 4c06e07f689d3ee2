"""Runs a task under Hydra, and says in one line what is wrong with an override."""

import contextlib
import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runback.errors import InputError
from runback.runs.tasks.sweep_files import add_sweep_files, sweep_names
from runback.sweeping.hydra_internals import (
    MISSING_VALUE,
    RAISES,
    SEVERAL_VALUES,
    UNKNOWN_CHOICE,
    UNKNOWN_KEY,
    UNKNOWN_OVERRIDE,
    WRONG_VALUE,
)
from runback.sweeping.hydra_task import HydraTask
from runback.sweeping.override_error import override_error
from runback.sweeping.space.other_notations import several
from runback.system.config.config_error import config_error, without_parser
from runback.system.config.flattening import flatten
from runback.system.config.written_config import keep_composed
from runback.system.options import Parser
from runback.system.stop_signals import stop_on_signals
from runback.system.text.listing import did_you_mean
from runback.tracking.layout import MLRUNS_VARIABLE, ROOT_VARIABLE, Layout, check_writable
from runback.tracking.tracking_server import take_uri

CHOICE = re.compile(r"\+*(\w[\w/]*)(?:@[^=]*)?=(.*)")
"""An override that may choose from a config group."""

NAMES = re.compile(r"[^\s,'\"()\[\]]+")
"""The names in what an override chooses."""

GIVEN = "given"
"""The config group of a file that the command line names."""


@dataclass(frozen=True)
class App:
    """What Hydra composes a config from."""

    conf: Path | None
    """The folder of its config files, which need not be there; None: it has none."""
    config_name: str
    """The primary config, in that folder or in Hydra's store."""
    groups: Sequence[str] = ()
    """The config groups of which each is one part, and cannot be a list."""
    prepared: Callable[[str], str] = str
    """Returns an override of the command line as it is meant where it was typed."""
    parameters: Collection[str] = ()
    """The keys that are a task's parameters, and no config groups: their values may be any paths."""

    packaged: Path | None = None
    """A package's folder whose `conf/` and `sweeps/` come behind the project's own; None: there is none."""

    @property
    def folders(self) -> list[Path]:
        """The folders of its config files; a file in one hides those of its name in the folders behind."""
        behind = None if self.packaged is None else self.packaged / "conf"
        return [folder for folder in (self.conf, behind) if folder is not None and folder.is_dir()]

    @property
    def groups_with_files(self) -> list[str]:
        """The names of its config groups that are folders."""
        return sorted({path.name for folder in self.folders for path in folder.iterdir() if path.is_dir()})

    def files(self, group: str) -> list[str]:
        """Return the choices of a config group that have a file."""
        return sorted({file.stem for folder in self.folders for file in (folder / group).glob("*.yaml")})

    def place(self, group: str) -> str:
        """Return the place of a group's choices, for a person: their folder, else their names."""
        if self.packaged is None or (self.conf is not None and (self.conf / group).is_dir()):
            return f"conf/{group}/"
        names = [name for name in self.files(group) if not name.startswith("_")]
        return f"the group {group} ({', '.join(names)})"

    def sweeps(self) -> list[str]:
        """Return the names of the sweeps that there are; `enter_project` has set the variable."""
        return sweep_names(Path(os.environ[ROOT_VARIABLE]), self.packaged)

    @property
    def search_folder(self) -> str:
        """The folder that Hydra is given; it insists on one, and this package's has no config file."""
        return str(next(iter(self.folders), Path(__file__).parent))

    @contextlib.contextmanager
    def initialized(self) -> Iterator[None]:
        """Make Hydra ready to compose in this block."""
        GlobalHydra.instance().clear()
        with initialize_config_dir(self.search_folder, version_base="1.3"):
            yield


def run(
    task: TaskFunction,
    arguments: list[str],
    layout: Layout,
    app: App,
    *,
    name: str,
    given: Mapping[str, Any] | None = None,
) -> None:
    """Compose an app's config with the command line's overrides and run `task` on it.

    `given` is another part of the config, which the command line's overrides win over; `name` is the
    command's.

    Errors: InputError for an override that names no key or has the wrong type; whatever `task` raises.
    """
    enter_project(layout)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors as exceptions, not as text and exit code 1
    flags, overrides = _divided(take_uri(arguments), name, app)
    overrides = [app.prepared(one) for one in overrides]
    added = [] if given is None else [_given(given)]
    without_files = "hydra.output_subdir=null"  # they are written without secrets instead
    raised: list[BaseException] = []
    whole = HydraTask.of(task)
    main = hydra.main(
        version_base="1.3",
        config_path=app.search_folder,
        config_name=app.config_name,
    )(replace(whole, single=_single(whole.run, raised)))
    add_sweep_files(app.packaged)
    with _argv([name, *flags, *added, *overrides, without_files]), stop_on_signals():
        try:
            main()
        except (HydraException, OmegaConfBaseException) as error:
            raise InputError(_one_line(error, app, overrides) + _advice(error, overrides)) from error
        except UnicodeDecodeError as error:
            raise InputError(_no_text(app)) from error
        except (yaml.YAMLError, RecursionError) as error:
            raise InputError(config_error(error)) from error
        except SystemExit as end:  # Hydra has said why
            raise SystemExit(2 if end.code else 0) from None
        except (*RAISES, OSError) as error:
            # A single job's are in `raised`: this is Hydra itself, at composing or making the run's folder.
            if _is_of_sweep(error):
                raise
            raise InputError(_composing(error, [*added, *overrides], app)) from error
    if raised:
        raise raised[0]


def _given(config: Mapping[str, Any]) -> str:
    """Make a part of a config known to Hydra, and return the override that adds it."""
    ConfigStore.instance().store(
        group=GIVEN, name="file", node=config, package="_global_", provider="runback"
    )
    return f"+{GIVEN}=file"


def enter_project(layout: Layout) -> None:
    """Make a project ready to train in: its stores writable, its own modules importable.

    This process and those it starts use this project from now on, wherever they go. Errors: InputError.
    """
    check_writable(layout)
    os.environ[ROOT_VARIABLE] = str(layout.root)
    os.environ[MLRUNS_VARIABLE] = str(layout.mlruns)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    make_importable(layout.root)


def make_importable(root: Path) -> None:
    """Let this process import a project's own modules, behind all others."""
    if str(root) not in sys.path:
        sys.path.append(str(root))


def _single(function: TaskFunction, raised: list[BaseException]) -> TaskFunction:
    """Return a single run of a task's function: it writes the config, and keeps exceptions from Hydra.

    Hydra would print them; a trial's go to its coordinator. A model's own code may end by `sys.exit`.
    """

    def run_once(cfg: DictConfig) -> Any:
        try:
            hydra = HydraConfig.get()
            composed = OmegaConf.merge({"hydra": hydra}, cfg)
            keep_composed(composed, Path(hydra.runtime.output_dir))  # type: ignore[arg-type]
            return function(cfg)
        except (Exception, SystemExit) as error:
            raised.append(error)
            return None

    return run_once


@contextlib.contextmanager
def _argv(argv: list[str]) -> Iterator[None]:
    """Hydra's decorator reads the command line itself."""
    before = sys.argv
    sys.argv = argv
    try:
        yield
    finally:
        sys.argv = before


def _divided(arguments: list[str], name: str, app: App) -> tuple[list[str], list[str]]:
    """Return Hydra's flags and the overrides; refuse what Hydra would answer with its whole usage."""
    parser = Parser(prog=name, add_help=False)
    for flag in (("--help", "-h"), ("--hydra-help",), ("--multirun", "-m"), ("--resolve",)):
        parser.add_argument(*flag, action="store_true")
    parser.add_argument("--cfg", "-c", choices=["job", "hydra", "all"])
    parser.add_argument("--package", "-p")
    parser.add_argument("overrides", nargs="*")
    options = vars(parser.parse_intermixed_args(arguments))
    overrides: list[str] = options.pop("overrides")
    for override in overrides:
        if any("\ud800" <= one <= "\udfff" for one in override):
            raise InputError(f"expected an override in UTF-8; got {override!r}")
        if ("=" not in override and not override.startswith("~")) or override.startswith("="):
            raise InputError(f"expected KEY=VALUE; got '{override}'")
        _refuse_climbing(override, app)
        _refuse_two_choices(override, app)
    flags = [(f"--{key.replace('_', '-')}", value) for key, value in options.items() if value]
    return [
        part for flag, value in flags for part in ((flag,) if value is True else (flag, value))
    ], overrides


def _refuse_climbing(override: str, app: App) -> None:
    """Refuse a choice of a config group that Hydra would take from outside the group's folder."""
    match = CHOICE.fullmatch(override)
    if match and match[1] in app.parameters:
        return
    if match and any(path.startswith("/") or ".." in path.split("/") for path in NAMES.findall(match[2])):
        raise InputError(f"{match[1]} must be a choice of {app.place(match[1])}; got '{match[2]}'")


def _refuse_two_choices(override: str, app: App) -> None:
    """Refuse a list of choices of one part: Hydra would mix them all into one."""
    match = CHOICE.fullmatch(override)
    if match and match[1] in app.groups and match[2].strip().lower() in ("", "null"):
        raise InputError(f"{match[1]} must be one of the choices in {app.place(match[1])}; got '{match[2]}'")
    if match and match[1] in app.groups and match[2].strip().startswith("["):
        names = ",".join(NAMES.findall(match[2]))
        raise InputError(
            f"{match[1]} is one choice of {app.place(match[1])}; to search several write {match[1]}={names}"
        )


def _one_line(error: Exception, app: App, overrides: Sequence[str] = ()) -> str:
    """Say in one line what Hydra says in several; it has no fields to read, only text."""
    if isinstance(error, OverrideParseException):
        return override_error(str(error.override), str(error))
    text = str(error)
    cause = error.__cause__
    if isinstance(cause, OmegaConfBaseException):
        text += f"\n{cause}"
    if match := UNKNOWN_CHOICE.search(text):
        return _unknown_choice(match[1], match[2], app)
    if match := UNKNOWN_OVERRIDE.search(text):
        return _unknown_key(match[1], app, overrides)
    if match := UNKNOWN_KEY.search(text):
        return _unknown_key(match[1], app, overrides)
    if match := WRONG_VALUE.search(text):
        return f"{match[1].lstrip('+')}: {without_parser(match[2][:1].lower() + match[2][1:])}"
    if match := SEVERAL_VALUES.search(text):
        return (
            f"'{match[1]}' has several values: add --multirun to sweep over them, or write [a,b] for a list"
        )
    if match := MISSING_VALUE.search(text):
        return f"{match[1]} must be set: it has no default"
    if isinstance(error, OSError) and error.strerror:
        named = str(error.filename)
        named = Path(named).name if error.errno == errno.ENAMETOOLONG else named
        return f"{error.strerror}: {named!a:.300}"
    return config_error(error)


def _advice(error: Exception, overrides: list[str]) -> str:
    """Say how several values are searched, where one override with all of them was refused, and null."""
    text = f"{error}\n{error.__cause__}"
    if unknown := UNKNOWN_OVERRIDE.search(text) or UNKNOWN_KEY.search(text):
        return _after_choice(unknown[1].lstrip("+"), overrides)
    match = WRONG_VALUE.search(text)
    for one in overrides if match else ():
        override = OverridesParser.create().parse_override(one)
        key, value = override.get_key_element(), override.value()
        if match and key == match[1] and isinstance(value, list | dict):
            return f"; {several(key.lstrip('+'), value)}"
        if match and key == match[1] and value == "None":
            return f"; no value is written {key}=null"
    return ""


def _after_choice(key: str, overrides: list[str]) -> str:
    """Say how a key is given a value that is there only once a searched group is chosen."""
    group = key.partition(".")[0]
    value = next((one.partition("=")[2] for one in overrides if one.partition("=")[0] == key), None)
    parsed = [OverridesParser.create().parse_override(one) for one in overrides]
    if value is None or not any(one.get_key_element() == group and one.is_sweep_override() for one in parsed):
        return ""
    return f"; where choices of {group} have it, write {key}=choice({value})"


def _is_of_sweep(error: Exception) -> bool:
    """Tell whether the sweeper raised an exception, and not Hydra before it came to sweep."""
    frames = (frame.f_globals for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(one.get("__name__")).startswith("hydra_plugins.runback_sweeper") for one in frames)


def _composing(error: Exception, overrides: list[str], app: App) -> str:
    """Say what Python's own exception says, and over which override Hydra raised it."""
    if isinstance(error, OSError):
        return _one_line(error, app)
    text = _one_line(error, app) or "Hydra cannot take it"
    culprit = next((one for one in overrides if not _composes(one, app)), None)
    return text if culprit is None else f"cannot use '{culprit}': {text}"


def _composes(override: str, app: App) -> bool:
    try:
        with app.initialized():
            compose(app.config_name, overrides=[override], return_hydra_config=True)
    except RAISES:
        return False
    except (HydraException, OmegaConfBaseException):
        return True  # refused for a reason that it says
    return True


def _chooses(override: str, app: App) -> bool:
    """Tell whether an override chooses one part."""
    match = CHOICE.fullmatch(override)
    return match is not None and match[1] in app.groups and match[2].isidentifier()


def _no_text(app: App) -> str:
    """Say which config file is no text."""
    folders = [*app.folders, Path(os.environ[ROOT_VARIABLE], "sweeps")]
    files = [file for folder in folders for file in sorted(folder.rglob("*.yaml"))]
    named = next((str(file) for file in files if not _is_text(file)), "a config file")
    return f"{named} is no text in UTF-8"


def _is_text(file: Path) -> bool:
    try:
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _unknown_choice(group: str, name: str, app: App) -> str:
    options = app.sweeps() if group == "sweeps" else app.files(group)
    options = [option for option in options if not option.startswith("_")]
    if not options:
        with contextlib.suppress(OSError):
            options = [option.removesuffix(".yaml") for option in ConfigStore.instance().list(group)]
    hint = did_you_mean(
        name, options, f"expected one of {', '.join(options)}" if options else "there is none"
    )
    return f"unknown {group} '{name}': {hint}"


def _unknown_key(asked: str, app: App, overrides: Sequence[str]) -> str:
    if "@sweeps." in asked:
        return "the sweep's file must begin with the line '# @package _global_'"
    name = asked.lstrip("+~")
    keys = [key for key in _valid_keys(app, overrides) if not f"{name}.".startswith(f"{key}.")]
    command = "--cfg job" if app.parameters else "`runback train --cfg job`"
    hint = did_you_mean(name, keys, f"{command} shows those there are", cutoff=0.7)
    return f"unknown key '{asked}'; {hint}"


def _valid_keys(app: App, overrides: Sequence[str]) -> list[str]:
    """Return the keys of the config with the parts that these overrides choose."""
    chosen = [one for one in overrides if _chooses(one, app)]
    with app.initialized():
        config = compose(app.config_name, overrides=chosen, return_hydra_config=True)
    return app.groups_with_files + [key for key, _ in flatten(OmegaConf.to_container(config), branches=True)]
