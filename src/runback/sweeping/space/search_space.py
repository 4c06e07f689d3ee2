"""Reads a search space from Hydra's override grammar into Optuna distributions: choices, ranges, steps."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, QuotedString, RangeSweep, Transformer
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from runback.errors import InputError
from runback.system.secrecy import secret_key
from runback.system.secrecy.config_secrets import masked_override

# A string that Hydra's grammar reads back as the same string without quotes.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./\-]*")
_NOT_STRINGS = {"null", "true", "false", "nan", "inf"}


WITHIN = 0.618034
"""The place along a continuous range, from 0 to 1, of the value that is tried besides its ends."""


@dataclass(frozen=True)
class Parameter:
    """One axis of the search space.

    `key` is the override's key as typed (with `+` or `@package`), `name` the same without `+`, as
    Optuna and the run's record show it. `labels` maps a choice that Optuna cannot hold (a list, a
    mapping) to its text in the override grammar.
    """

    key: str
    distribution: BaseDistribution
    labels: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The key without its `+` prefix."""
        return self.key.lstrip("+")

    def override(self, value: Any) -> str:
        """Return the Hydra override that sets this parameter to a value that Optuna proposed."""
        return f"{self.key}={value if value in self.labels else quoted(value)}"

    def corners(self) -> list[Any]:
        """Return the values that bound this axis: every choice, or both ends of a range.

        Of a continuous one also a value in between, which is no whole number where the ends are.
        """
        if isinstance(self.distribution, CategoricalDistribution):
            return list(self.distribution.choices)
        if isinstance(self.distribution, FloatDistribution) and self.distribution.step is None:
            low, high = self.distribution.low, self.distribution.high
            return list(dict.fromkeys([low, high, low + (high - low) * WITHIN]))
        if isinstance(self.distribution, IntDistribution | FloatDistribution):
            return list(dict.fromkeys([self.distribution.low, self.distribution.high]))
        raise TypeError(f"unknown distribution {self.distribution}")


@dataclass(frozen=True)
class Space:
    """The parameters that a sweep varies, and the overrides that are the same for all its trials."""

    parameters: tuple[Parameter, ...]
    fixed: tuple[str, ...]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's distributions by parameter name."""
        return {p.name: p.distribution for p in self.parameters}

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Return the Hydra overrides of the trial with these parameter values."""
        return [*self.fixed, *(p.override(values[p.name]) for p in self.parameters)]

    def corner_values(self) -> list[dict[str, Any]]:
        """Return few points that together hold every choice and both ends of every range."""
        corners = {p.name: p.corners() for p in self.parameters}
        most = max(len(values) for values in corners.values())
        return [
            {name: values[min(i, len(values) - 1)] for name, values in corners.items()} for i in range(most)
        ]


def described(distribution: BaseDistribution) -> str:
    """Write an axis for a person: its choices, or its range."""
    if isinstance(distribution, CategoricalDistribution):
        return "/".join(str(choice) for choice in distribution.choices)
    if isinstance(distribution, IntDistribution | FloatDistribution):
        step = f", step {distribution.step}" if distribution.step not in (None, 1) else ""
        return f"{distribution.low} to {distribution.high}{step}{', log' if distribution.log else ''}"
    return str(distribution)


def quoted(value: Any) -> str:
    """Write a scalar so that Hydra's grammar reads back the same value.

    >>> quoted("a,b")
    "'a,b'"
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _NOT_STRINGS:
        return value
    # The grammar unescapes \' everywhere, and backslashes only in front of a quote.
    text = re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), value)
    return f"'{text}'"


def parse(params: Mapping[str, Any] | None, arguments: Iterable[str], loader: ConfigLoader) -> Space:
    """Read `hydra.sweeper.params` and the command line's overrides; the command line wins.

    Errors: InputError where an expression is no search expression, a range is empty, or nothing varies.
    """
    parser = OverridesParser.create(config_loader=loader)
    # In YAML a string is an expression of the grammar; any other value is a fixed one.
    written = [f"{k}={v if isinstance(v, str) else quoted(v)}" for k, v in (params or {}).items()]
    try:
        overrides = [*parser.parse_overrides(written), *parser.parse_overrides(list(arguments))]
    except HydraException as error:
        raise InputError(f"search space: {str(error).splitlines()[0]}") from error
    by_key = {override.get_key_element(): override for override in overrides}
    fixed = tuple(str(o.input_line) for o in by_key.values() if not o.is_sweep_override())
    parameters = tuple(_parameter(o) for o in by_key.values() if o.is_sweep_override())
    if not parameters:
        raise InputError(
            "the search space is empty: nothing varies; give a choice(), range() or interval() under "
            "hydra.sweeper.params or on the command line, as in training.batch_size=32,64"
        )
    for parameter in parameters:
        _refuse_secrets(parameter)
    return Space(parameters, fixed)


def _refuse_secrets(parameter: Parameter) -> None:
    """Refuse to search over secrets: what is searched is written into the study, and shown."""
    texts = [str(choice) for choice in getattr(parameter.distribution, "choices", ())]
    if secret_key(parameter.name.partition("@")[0]) or any(
        masked_override(f"x={one}") != f"x={one}" for one in texts
    ):
        raise InputError(
            f"cannot search over {parameter.name}, because its values are secrets and would be written; "
            "give it one value, ${oc.env:NAME}"
        )


def _parameter(override: Override) -> Parameter:
    key = override.get_key_element()
    try:
        if override.is_choice_sweep():
            return _choice(key, override)
        sweep = override.value()
        if isinstance(sweep, RangeSweep):
            return Parameter(key, _range(sweep))
        if isinstance(sweep, IntervalSweep):
            return Parameter(key, _interval(sweep))
    except (ValueError, HydraException) as error:
        raise InputError(f"search space of {key}: {error}") from error
    raise InputError(f"search space of {key}: cannot read {override.input_line}")


def _choice(key: str, override: Override) -> Parameter:
    elements = list(override.sweep_iterator(transformer=Transformer.identity))
    labels = {Transformer.str(e) for e in elements if isinstance(e, list | dict)}
    values = [_choice_value(e) for e in elements]
    if not values:
        raise ValueError(f"{override.input_line} matches nothing")
    if len({(type(v), v) for v in values}) < len(values):
        raise ValueError(f"a choice is given twice in {override.input_line}")
    return Parameter(key, CategoricalDistribution(values), frozenset(labels))


def _choice_value(element: Any) -> Any:
    if isinstance(element, list | dict):
        return Transformer.str(element)
    return element.text if isinstance(element, QuotedString) else element


def _range(sweep: RangeSweep) -> BaseDistribution:
    values = list(sweep.range())
    if not values:
        raise ValueError("the range is empty (its stop is exclusive)")
    log = "log" in sweep.tags
    low, high = min(values), max(values)
    if all(isinstance(v, int) for v in values):
        return IntDistribution(int(low), int(high), log=log, step=1 if log else abs(int(sweep.step)))
    # 0.1 + 2 * 0.1 is 0.30000000000000004 to a float, and off the grid to Optuna.
    low, high, step = (float(f"{x:.12g}") for x in (low, high, abs(float(sweep.step))))
    return FloatDistribution(low, high, log=log, step=None if log else step)


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    if low is None or high is None:
        raise ValueError("the interval needs two ends")
    log = "log" in sweep.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)
