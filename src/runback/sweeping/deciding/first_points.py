"""The points that a search begins with: its config's own, a person's, or another sweep's best."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from runback.errors import InputError
from runback.sweeping.space.search_space import Parameter, Space
from runback.sweeping.study.study_store import STUDY, best_trials, read_study
from runback.sweeping.sweep_settings import FIRST_BEST, FIRST_CONFIG
from runback.sweeping.trials.hydra_job import Composer
from runback.system.config.override_text import quoted
from runback.system.text.listing import did_you_mean

MOST = 5
"""Trials of another sweep."""

KEY = "hydra.sweeper.first"


def first_points(
    first: Any, composer: Composer, space: Space, folder: Path
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the points, each once, and lines that say what is left out.

    `first` is the checked setting, `folder` the sweep's.
    Errors: InputError for a point of a person's that is not in the space, or cannot be composed; for an
    unknown sweep.
    """
    if first is None or first == "none":
        return [], []
    if first == FIRST_CONFIG:
        points, lines = _of_config(composer, space)
    elif isinstance(first, list):
        points, lines = [_asked(one, composer, space) for one in first], []
    else:
        points, lines = _best(first.removeprefix(FIRST_BEST), space, folder)
    distinct = {tuple(sorted((k, repr(v)) for k, v in point.items())): point for point in points}
    return [*distinct.values()], lines


def config_point(composer: Composer, space: Space) -> dict[str, Any] | None:
    """Return the params of the config as it is composed; None where they are not in the space."""
    try:
        config = composer.compose(0, space.fixed)
    except (HydraException, InputError):
        return None
    point, outside = _point(config, space)
    return None if outside else point


def _of_config(composer: Composer, space: Space) -> tuple[list[dict[str, Any]], list[str]]:
    groups = [one for one in space.parameters if one.name in composer.groups]
    chosen: list[list[str]] = [[]]
    chosen += [[one.override(choice)] for one in groups for choice in one.corners()]
    points: list[dict[str, Any]] = []
    outside: dict[str, Any] = {}
    for overrides in chosen:
        try:
            config = composer.compose(0, [*space.fixed, *overrides])
        except (HydraException, InputError):
            continue  # a choice that needs another value: the search finds it with one
        point, missing = _point(config, space)
        outside |= missing
        if not missing:
            points.append(point)
    what = ", ".join(f"{key}={value!r:.60}" for key, value in outside.items())
    note = f"note: the config's own values are no first trial, being outside the search space: {what}"
    return points, [note] if outside else []


def _asked(asked: Any, composer: Composer, space: Space) -> dict[str, Any]:
    overrides = asked.split() if isinstance(asked, str) else [f"{k}={quoted(v)}" for k, v in asked.items()]
    try:
        config = composer.compose(0, [*space.fixed, *overrides])
    except HydraException as error:
        raise InputError(f"{KEY}: {asked!r:.200}: {str(error).splitlines()[0]}") from error
    point, missing = _point(config, space)
    for key, value in missing.items():
        raise InputError(f"{KEY}: {asked!r:.200}: {key}={value!r:.60} is not in the search space")
    return point


def _best(name: str, space: Space, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    known = sorted(path.parent.name for path in folder.parent.glob(f"*/{STUDY}") if path.parent != folder)
    if name not in known:
        hint = did_you_mean(name, known, f"there are {', '.join(known) or 'no other sweeps'}")
        raise InputError(f"{KEY}: unknown sweep {name!r:.100}: {hint}")
    trials = best_trials(read_study(folder.parent / name, name), MOST)
    fitting = [trial.params for trial in trials if _fits(trial.params, space)]
    left_out = len(trials) - len(fitting)
    lines = [f"note: {left_out} of the {len(trials)} best trials of {name} do not fit this search space"]
    return fitting, lines if left_out else []


def _fits(params: Mapping[str, Any], space: Space) -> bool:
    by_name = {one.name: one for one in space.parameters}
    if not set(params) <= set(by_name) or any(_held(by_name[k], v) is None for k, v in params.items()):
        return False
    always = {one.name for one in space.parameters if one.only_with is None}
    return always <= set(params) and set(space.searched(params)) == {
        one.name for one in space.parameters if one.is_searched(params)
    }


def _point(config: DictConfig, space: Space) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the point that a config is, and the values that are not in the space, by key."""
    point: dict[str, Any] = {}
    outside: dict[str, Any] = {}
    for one in sorted(space.parameters, key=lambda one: one.only_with is not None):
        if one.only_with is not None and (one.only_with[0] not in point or not one.is_searched(point)):
            continue
        value = _value(config, one)
        held = _held(one, value)
        if held is None:
            outside[one.name] = value
        else:
            point[one.name] = held[0]
    return point, outside


def _value(config: DictConfig, parameter: Parameter) -> Any:
    if parameter.name in config.hydra.runtime.choices:
        return config.hydra.runtime.choices[parameter.name]
    value = OmegaConf.select(config, parameter.name, throw_on_resolution_failure=False)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _held(parameter: Parameter, value: Any) -> Sequence[Any] | None:
    """Return a value as the study holds it, in a list; None: it is not searched."""
    axis = parameter.distribution
    if isinstance(axis, CategoricalDistribution):
        like = [one for one in axis.choices if one == value and type(one) is type(value)]
        text = Transformer.str(value) if isinstance(value, list | dict) else quoted(value)
        like += [one for one in axis.choices if one in parameter.labels and one == text]
        return like[:1] or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(axis, IntDistribution):
        is_step = axis.low <= value <= axis.high and (value - axis.low) % axis.step == 0
        return [int(value)] if is_step else None
    if isinstance(axis, FloatDistribution) and axis.low <= value <= axis.high:
        steps = 0.0 if axis.step is None else (value - axis.low) / axis.step
        return [float(value)] if abs(steps - round(steps)) < 1e-9 or axis.step is None else None
    return None
