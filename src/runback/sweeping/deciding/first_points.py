"""The points that a search begins with: its config's own, a person's, or another sweep's best."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Transformer
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study

from runback.errors import InputError
from runback.sweeping.space.search_space import Parameter, Space
from runback.sweeping.study.attributes import FIRST
from runback.sweeping.study.study_store import best_trials, read_study, studies_in
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
        points, lines = [asked_point(one, composer, space) for one in first], []
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


def keep_first_points(study: Study, first: Any, points: Sequence[Mapping[str, Any]]) -> None:
    """Store the points of a setting in the study of a sweep."""
    stored = {"setting": first, "points": [dict(point) for point in points]}
    if study.user_attrs.get(FIRST) != stored:
        study.set_user_attr(FIRST, stored)


def stored_first_points(study: Study, first: Any, space: Space) -> list[dict[str, Any]] | None:
    """Return the points that a study began with; None where they are of another setting, or space."""
    stored = study.user_attrs.get(FIRST)
    if stored is None or stored["setting"] != first:
        return None
    if not all(_fits(point, space) for point in stored["points"]):
        return None
    return [_as_held(point, space) for point in stored["points"]]


def _of_config(composer: Composer, space: Space) -> tuple[list[dict[str, Any]], list[str]]:
    groups = [one for one in space.parameters if one.name in composer.groups]
    points, outside = [], {}
    for choice in ["", *(one.override(choice) for one in groups for choice in one.corners())]:
        try:
            config = composer.compose(0, [*space.fixed, *([choice] if choice else [])])
        except (HydraException, InputError):
            continue  # a choice that needs another value: the search finds it with one
        point, outside[choice] = _point(config, space)
        if not outside[choice]:
            points.append(point)
    return points, [*_outside_lines(outside)]


def _outside_lines(outside: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for the config, and for each choice whose own file has other values outside the space."""
    of_config = outside.get("", {})
    for choice, values in outside.items():
        own = {key: value for key, value in values.items() if not choice or of_config.get(key) != value}
        if own:
            what = ", ".join(f"{key}={value!r:.60}" for key, value in own.items())
            whose = f"the values that {choice} has by itself are" if choice else "the config's own values are"
            yield f"note: {whose} no first trial, being outside the search space: {what}"


def asked_point(asked: Any, composer: Composer, space: Space, key: str = KEY) -> dict[str, Any]:
    """Return the params of a point that is asked for by its overrides. Errors: InputError, with `key`."""
    words = _overrides(asked) if isinstance(asked, str) else [f"{k}={_text(v)}" for k, v in asked.items()]
    try:
        given = _given(words, space)
        config = composer.compose(0, [*space.fixed, *given.values()])
    except (HydraException, InputError) as error:
        raise InputError(f"{key}: {asked!r:.200}: {str(error).splitlines()[0]}") from error
    point, missing = _point(config, space)
    for name, value in missing.items():
        raise InputError(f"{key}: {asked!r:.200}: {name}={value!r:.60} is not in the search space")
    for name in given.keys() - point.keys():
        raise InputError(f"{key}: {asked!r:.200}: {_why_unsearched(name, given[name], space)}")
    return point


def _why_unsearched(name: str, override: str, space: Space) -> str:
    by_name = {one.name: one for one in space.parameters}
    if name in by_name:
        return f"{name} is searched {by_name[name].condition}"
    hint = did_you_mean(name, by_name, f"searched are {', '.join(by_name)}")
    return f"{name} is not searched ({hint}); to set it for all trials, give {override} beside the search"


def _overrides(text: str) -> list[str]:
    """Take a text apart into overrides; a space within quotes or brackets belongs to the value."""
    found, override = [], ""
    for word in re.findall(r"\S+\s*", text):
        override += word
        if _parsed(override.strip()) is not None:
            found.append(override.strip())
            override = ""
    return [*found, override.strip()] if override else found


def _given(overrides: Sequence[str], space: Space) -> dict[str, str]:
    """Return a point's overrides by the names of the keys that they set. Errors: InputError."""
    by_name = {one.name: one for one in space.parameters}
    given: dict[str, str] = {}
    for text in overrides:
        override = _parsed(text)
        if override is None or override.is_sweep_override() or override.is_delete():
            raise InputError(f"expected KEY=VALUE, one value for each key; got {text!r:.100}")
        name = override.get_key_element().lstrip("+")
        if name in given:
            raise InputError(f"{name} is given twice")
        given[name] = f"{by_name[name].key}={text.partition('=')[2]}" if name in by_name else text
    return given


def _parsed(text: str) -> Override | None:
    """Return an override; None where the text is none."""
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None


def held_point(params: Mapping[str, Any], space: Space) -> dict[str, Any] | None:
    """Return params as the study of a space holds them; None where they are no point of it."""
    return _as_held(params, space) if _fits(params, space) else None


def _best(name: str, space: Space, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    known = [one.name for one in studies_in(folder.parent) if one != folder]
    if name not in known:
        hint = did_you_mean(name, known, f"there are {', '.join(known) or 'no other sweeps'}")
        raise InputError(f"{KEY}: unknown sweep {name!r:.100}: {hint}")
    trials = best_trials(read_study(folder.parent / name, name), MOST)
    if not trials:
        return [], [f"note: {name} has no completed trial: this sweep begins with none of its points"]
    fitting = [_as_held(trial.params, space) for trial in trials if _fits(trial.params, space)]
    left_out = len(trials) - len(fitting)
    lines = [f"note: {left_out} of the {len(trials)} best trials of {name} do not fit this search space"]
    return fitting, lines if left_out else []


def _as_held(params: Mapping[str, Any], space: Space) -> dict[str, Any]:
    """Return params that are in the space as its study holds them."""
    held = {one.name: _held(one, params[one.name]) for one in space.parameters if one.name in params}
    return {name: value[0] for name, value in held.items() if value is not None}


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
        like += [one for one in axis.choices if one in parameter.labels and one == _text(value)]
        return like[:1] or _equal_numbers(axis.choices, value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(axis, IntDistribution):
        is_step = axis.low <= value <= axis.high and (value - axis.low) % axis.step == 0
        return [int(value)] if is_step else None
    if isinstance(axis, FloatDistribution) and axis.low <= value <= axis.high:
        steps = 0.0 if axis.step is None else (value - axis.low) / axis.step
        return [float(value)] if abs(steps - round(steps)) < 1e-9 or axis.step is None else None
    return None


def _equal_numbers(choices: Sequence[Any], value: Any) -> list[Any] | None:
    """Return the choice that is equal to a number, as 0 to 0.0; None: none is, or several are."""
    equal = [one for one in choices if _is_number(one) and _is_number(value) and one == value]
    return equal if len(equal) == 1 else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: Any) -> str:
    """Write a value in the override grammar."""
    return Transformer.str(value) if isinstance(value, list | dict) else quoted(value)
