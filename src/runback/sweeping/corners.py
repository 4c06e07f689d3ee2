"""Composes the corners of a search space, and says of one that cannot be what would be written instead."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from optuna.distributions import FloatDistribution

from runback.errors import InputError
from runback.sweeping.changed_text import refuse_changed_text
from runback.sweeping.hydra_internals import UNKNOWN_KEY, UNKNOWN_OVERRIDE, WRONG_VALUE
from runback.sweeping.space.other_notations import is_search, several
from runback.sweeping.space.search_space import Parameter, Space, described
from runback.sweeping.trials.hydra_job import Composer, app_config
from runback.system.config.flattening import flatten
from runback.system.text.listing import listed

SHOWN = 5
"""Choices that a message lists."""


def composed_corners(composer: Composer, searched: Space) -> list[DictConfig]:
    """Return the configs of the corners of a search space.

    Errors: InputError for a range that is written as a mapping, a key that some choices lack, fractions of a
    whole number, several values where one belongs, and a number that becomes another text; Hydra's own for
    what else it does not accept.
    """
    _refuse_ranges(composer, searched)
    try:
        corners = [_composed(composer, searched, values) for values in searched.corner_values()]
    except HydraException as error:
        _refuse_lacking(composer, searched, error)
        wrong = WRONG_VALUE.search(_full_text(error))
        reason = f"{wrong[1].lstrip('+')}: {wrong[2]}" if wrong else ""
        advised = with_advice(composer, searched, reason)
        if advised != reason:
            raise InputError(advised) from error
        raise
    _refuse_like_choices(composer, searched)
    return corners


def _refuse_like_choices(composer: Composer, searched: Space) -> None:
    """Refuse choices that are one value where the config says its type, as 1 and '1' of a seed."""
    corners = searched.corner_values()
    for parameter in searched.parameters:
        base = next(point for point in corners if parameter.name in point)
        found: dict[tuple[type, str], Any] = {}
        for choice in _like_choices(parameter):
            config = composer.compose(0, searched.overrides({**base, parameter.name: choice}))
            key = parameter.name.lstrip("+")
            value = OmegaConf.select(config, key, throw_on_resolution_failure=False)
            like = found.setdefault((type(value), repr(value)), choice)
            if like is not choice:
                raise InputError(
                    f"search space of {key}: {like!r} and {choice!r} are the same value there, {value!r}: "
                    "leave one out"
                )


def _like_choices(parameter: Parameter) -> list[Any]:
    """Return the choices that differ in their types only, as 1, 1.0, true and '1'."""
    choices = list(getattr(parameter.distribution, "choices", ()))
    texts = [str(choice) for choice in choices]
    return [
        one
        for one, text in zip(choices, texts, strict=True)
        if one in parameter.labels or texts.count(text) > 1
    ]


def with_advice(composer: Composer, searched: Space, reason: str) -> str:
    """Return why a corner is refused, and what to write where several or whole numbers were meant.

    A reason begins with the key that it is about, and a colon.
    """
    if advice := whole_numbers(searched, reason):
        return f"search space of {advice}"
    same = same_in_all(composer, searched).get(reason.partition(": ")[0])
    return f"{reason}; {same}" if same else reason


def _composed(composer: Composer, searched: Space, values: dict[str, Any]) -> DictConfig:
    config = composer.compose(0, searched.overrides(values))
    typed = {parameter.key: parameter.typed for parameter in searched.parameters if parameter.sources}
    refuse_changed_text(searched.written(values), config, typed)
    return config


def whole_numbers(searched: Space, reason: str) -> str | None:
    """Return what to write where a reason refuses a fraction of a parameter; None: it says something else."""
    key, _, refusal = reason.partition(": ")
    for parameter in searched.parameters if "integer" in refusal.lower() else ():
        if parameter.name == key and isinstance(parameter.distribution, FloatDistribution):
            whole = _whole(parameter.distribution)
            written = f": write {whole}" if whole else f", and {described(parameter.distribution)} has none"
            return f"{key}: it takes whole numbers only{written}"
    return None


def fractions_of_whole_numbers(composer: Composer, searched: Space) -> Iterator[str]:
    """List, a line each, the ranges of fractions whose value in the config is a whole number."""
    axes = [(p.name, p.distribution) for p in searched.parameters]
    whole = {name: axis for name, axis in axes if isinstance(axis, FloatDistribution) and _is_between(axis)}
    values = _values(composer, [*_groups(composer, searched)]) if whole else {}
    for name, axis in whole.items():
        if type(values.get(name)) is int:
            yield (
                f"{name} is searched over fractions, and is a whole number in the config, {values[name]}; "
                f"to search whole numbers write {_whole(axis)}"
            )


def _is_between(axis: FloatDistribution) -> bool:
    """Tell whether a range has all fractions between two whole numbers."""
    return axis.step is None and axis.low.is_integer() and axis.high.is_integer()


def _whole(axis: FloatDistribution) -> str | None:
    """Write the whole numbers of a range of fractions; None: there is none."""
    if axis.step is not None:
        return _whole_steps(axis)
    low, high = math.ceil(axis.low), math.floor(axis.high)
    if low >= high:
        return str(low) if low == high else None
    interval = f"int(interval({low}, {high}))"
    return f"tag(log, {interval})" if axis.log else f"{interval} or range({low}, {high + 1})"


def _whole_steps(axis: FloatDistribution) -> str | None:
    """Write those values of a range with steps that are whole numbers: they have a step of their own."""
    low, high, step = (Fraction(repr(one)) for one in (axis.low, axis.high, axis.step))
    # low + i * step is whole where start + i * width is a multiple of their denominator.
    parts = math.lcm(low.denominator, step.denominator)
    start, width = int(low * parts), int(step * parts)
    common = math.gcd(width, parts)
    if start % common:
        return None
    every = parts // common  # so many steps lead from one whole number to the next
    first = int(low + -start // common * pow(width // common, -1, every) % every * step)
    if first > high:
        return None
    last, width = int(first + (high - first) // (step * every) * step * every), int(step * every)
    if last == first:
        return str(first)
    return f"range({first}, {last + 1}{f', {width}' if width > 1 else ''})"


def same_in_all(composer: Composer, searched: Space) -> dict[str, str]:
    """Say of each list or mapping that all trials have where the config has one value, by its key, that.

    Its elements may have been meant to be searched.
    """
    return {
        key: f"{one} is one value, the same in each trial; {several(key, value)}"
        for one, key, value in _instead_of_one(composer, searched)
    }


def _refuse_ranges(composer: Composer, searched: Space) -> None:
    """Refuse a mapping with ends or choices, as other programs write a search, in the place of one value."""
    for one, key, value in _instead_of_one(composer, searched):
        if isinstance(value, dict) and is_search(value):
            same = f"{one} is one value, the same in each trial"
            raise InputError(f"search space of {key}: {same}; {several(key, value)}")


def _instead_of_one(composer: Composer, searched: Space) -> Iterator[tuple[str, str, Any]]:
    """List the fixed lists and mappings where the config has one value: override, key and value."""
    parser = OverridesParser.create()
    fixed = {one: parser.parse_override(one) for one in searched.fixed}
    lists = {one: override for one, override in fixed.items() if isinstance(override.value(), list | dict)}
    if not lists:
        return
    others = [one for one in fixed if one not in lists]
    values = _values(composer, [*others, *_groups(composer, searched)])
    for one, override in lists.items():
        key, value = override.get_key_element(), override.value()
        if key in values and not isinstance(values[key], list) and values[key] not in (None, "???"):
            yield one, key, value


def _values(composer: Composer, overrides: list[str]) -> dict[str, Any]:
    """Return the values of a config by dotted key, and the choice of each group; none if it cannot be.

    References are as they are written.
    """
    try:
        config = composer.compose(0, overrides)
    except (HydraException, OmegaConfBaseException):
        return {}
    values = dict(flatten(OmegaConf.to_container(app_config(config))))
    return {**values, **config.hydra.runtime.choices}


def _groups(composer: Composer, searched: Space) -> Iterator[str]:
    """List an override for the first choice of each config group that is searched."""
    for parameter in _searched_groups(composer, searched):
        yield parameter.override(parameter.corners()[0])


def _searched_groups(composer: Composer, searched: Space) -> Iterator[Parameter]:
    """List what may be a config group: one of the config's own, or a name without dots that takes names."""
    for parameter in searched.parameters:
        choices = getattr(parameter.distribution, "choices", ())
        is_named = choices and "." not in parameter.name and all(isinstance(one, str) for one in choices)
        if is_named or (choices and parameter.name.partition("@")[0] in composer.groups):
            yield parameter


def _refuse_lacking(composer: Composer, searched: Space, error: HydraException) -> None:
    """Refuse the key that an error names where some choices of a group accept it, and others do not."""
    text = _full_text(error)
    unknown = UNKNOWN_OVERRIDE.search(text) or UNKNOWN_KEY.search(text)
    groups = list(_searched_groups(composer, searched)) if unknown else []
    fixed = [one for one in searched.fixed if one.partition("=")[0].lstrip("+") in composer.groups]
    single = [*searched.fixed, *(p.override(p.corners()[0]) for p in searched.parameters)]
    named = [one for one in single if unknown and one.partition("=")[0].lstrip("+") == unknown[1].lstrip("+")]
    for group in groups:
        choices = [group.override(choice) for choice in group.corners()]
        for one in named:
            lacking = [choice for choice in choices if _is_unknown(composer, [*fixed, choice, one])]
            having = [choice for choice in choices if choice not in lacking]
            if having and lacking:
                key = one.partition("=")[0]
                searches = {parameter.key: parameter for parameter in searched.parameters}
                raise InputError(_lacking(key, searches.get(key), group.name, having, lacking))


def _lacking(key: str, parameter: Parameter | None, group: str, having: list[str], lacking: list[str]) -> str:
    names = [choice.partition("=")[2] for choice in having]
    there_is_none = f"search space of {key}: there is no such key with {listed(lacking, SHOWN)}"
    if parameter is None:
        advice = f"search it in a sweep of its own with {group}={','.join(names)}"
    else:
        is_inside = key.lstrip("+").startswith(f"{group}.")
        tags = ",".join(names if is_inside else [f"'{group}={name}'" for name in names])
        search = parameter.typed if parameter.typed.endswith(")") else f"choice({parameter.typed})"
        tagged = search.replace("tag(", f"tag({tags},", 1) if "tag(" in search else f"tag({tags},{search})"
        advice = f"to search it with {'/'.join(names)} only, write {key}={tagged}"
    return f"{there_is_none}; {advice}, or add it to the files that lack it"


def _is_unknown(composer: Composer, overrides: list[str]) -> bool:
    """Tell whether a config lacks a key that one of these overrides gives a value."""
    try:
        composer.compose(0, overrides)
    except HydraException as error:
        text = _full_text(error)
        return bool(UNKNOWN_OVERRIDE.search(text) or UNKNOWN_KEY.search(text))
    except OmegaConfBaseException:
        return False
    return False


def _full_text(error: HydraException) -> str:
    """Return what Hydra says, and what OmegaConf said to it."""
    return f"{error}\n{error.__cause__ or ''}"
