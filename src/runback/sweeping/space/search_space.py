"""Reads a search space from Hydra's override grammar into Optuna distributions: choices, ranges, steps."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
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
from runback.sweeping.hydra_internals import RAISES
from runback.sweeping.override_error import override_error
from runback.sweeping.space.conditions import LOG, is_prior, with_conditions
from runback.sweeping.space.other_notations import instead, is_search, several
from runback.system.config.override_text import choices, quoted
from runback.system.secrecy import secret_key
from runback.system.secrecy.config_secrets import masked_override

WITHIN = 0.618034
"""The place along a continuous range, from 0 to 1, of the value that is tried besides its ends."""

LARGEST = 2**53
"""The largest whole number of a range: a study keeps numbers as floats, which skip some of those above."""

MOST_LOG_VALUES = 100
"""Values of a logarithmic range with a step, which is searched as a choice among them."""


@dataclass(frozen=True)
class Parameter:
    """One axis of the search space.

    `key` is the override's key as typed (with `+` or `@package`), `name` the same without `+`, as
    Optuna and the run's record show it. `labels` are the choices that Optuna cannot hold or tell apart (a
    list, a mapping, 1 beside true), which stand in the study as their texts in the override grammar.
    `is_range` where the choices are the steps of a logarithmic range. `only_with` names another parameter and
    those of its choices with which this one is searched; None: with all. `tags` are what says so.
    `prior` is a likely value, near which the search begins; None: all are as likely.
    `typed` is the whole value as a person wrote it, and `sources` each of its choices, by its override.
    """

    key: str
    distribution: BaseDistribution
    labels: frozenset[str] = frozenset()
    typed: str = ""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    is_range: bool = False
    tags: frozenset[str] = frozenset()
    only_with: tuple[str, tuple[Any, ...]] | None = None
    prior: float | None = None

    @property
    def name(self) -> str:
        """The key without its `+` prefix."""
        return self.key.lstrip("+")

    def override(self, value: Any) -> str:
        """Return the Hydra override that sets this parameter to a value that Optuna proposed."""
        return f"{self.key}={value if value in self.labels else quoted(value)}"

    def written(self, value: Any) -> str:
        """Return the override with the text that a person wrote: 1e3, where `override` has 1000.0."""
        override = self.override(value)
        return self.sources.get(override, override)

    def is_searched(self, values: Mapping[str, Any]) -> bool:
        """Tell whether it is searched beside these values of other parameters."""
        if self.only_with is None:
            return True
        name, choices = self.only_with
        return any(values[name] == one and type(values[name]) is type(one) for one in choices)

    @property
    def condition(self) -> str:
        """The choices with which it is searched only, for a person; empty: with all."""
        if self.only_with is None:
            return ""
        name, choices = self.only_with
        return f"only with {name}={','.join(str(one) for one in choices)}"

    @property
    def qualified(self) -> str:
        """What a person's tags say of it, but for the scale: its condition, its prior; empty: nothing."""
        prior = "" if self.prior is None else f"prior {self.prior:g}"
        return ", ".join(filter(None, [self.condition, prior]))

    def described(self) -> str:
        """Write its choices, or its range, with what it is searched only, and its prior."""
        return ", ".join(filter(None, [described(self.distribution), self.qualified]))

    def corners(self) -> list[Any]:
        """Return the values that bound this axis: every choice, or both ends of a range.

        Of a continuous one also a value in between, which is no whole number where the ends are.
        """
        if isinstance(self.distribution, CategoricalDistribution):
            choices = list(self.distribution.choices)
            return list(dict.fromkeys([choices[0], choices[-1]])) if self.is_range else choices
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
        """Optuna's distributions by parameter name, of those too that are searched with some choices only."""
        return {p.name: p.distribution for p in self.parameters}

    @property
    def priors(self) -> dict[str, float]:
        """The likely values by parameter name."""
        return {p.name: p.prior for p in self.parameters if p.prior is not None}

    def searched(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of those parameters that are searched beside each other."""
        return {p.name: values[p.name] for p in self.parameters if p.name in values and p.is_searched(values)}

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Return the Hydra overrides of the trial with these parameter values."""
        return [*self.fixed, *(p.override(values[p.name]) for p in self.parameters if p.name in values)]

    def written(self, values: Mapping[str, Any]) -> list[str]:
        """Return the same as `overrides`, with the texts that a person wrote."""
        return [*self.fixed, *(p.written(values[p.name]) for p in self.parameters if p.name in values)]

    def corner_values(self) -> list[dict[str, Any]]:
        """Return few points that together hold every choice and both ends of every range."""
        corners = {p.name: p.corners() for p in self.parameters}
        conditions = dict.fromkeys(p.only_with for p in self.parameters if p.only_with is not None)
        alike = [_alike(corners)]
        for name, with_these in conditions:
            alike += [_alike({**corners, name: [choice]}) for choice in with_these]
        points = (self.searched(point) for points in alike for point in points)
        return list({tuple(point.items()): point for point in points}.values())


def _alike(corners: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Return points that take the corners of all axes at the same place; a short axis stays at its last."""
    most = max(len(values) for values in corners.values())
    return [{name: values[min(i, len(values) - 1)] for name, values in corners.items()} for i in range(most)]


def described(distribution: BaseDistribution) -> str:
    """Write an axis for a person: its choices, or its range."""
    if isinstance(distribution, CategoricalDistribution):
        return "/".join(str(choice) for choice in distribution.choices)
    if isinstance(distribution, IntDistribution | FloatDistribution):
        step = f", step {distribution.step}" if distribution.step not in (None, 1) else ""
        return f"{distribution.low} to {distribution.high}{step}{', log' if distribution.log else ''}"
    return str(distribution)


def parse(params: Mapping[str, Any] | None, arguments: Iterable[str], loader: ConfigLoader) -> Space:
    """Read `hydra.sweeper.params` and the command line's overrides; the command line wins.

    Errors: InputError where an expression is no search expression, a range is empty, or nothing varies.
    """
    parser = OverridesParser.create(config_loader=loader)
    # In YAML a string is an expression of the grammar; any other value is a fixed one.
    written = [f"{k}={v if isinstance(v, str) else quoted(v)}" for k, v in _flat_params(params or {})]
    overrides = [_parsed(parser, override) for override in (*written, *arguments)]
    by_key = {override.get_key_element().lstrip("+"): override for override in overrides}
    fixed = tuple(str(o.input_line) for o in by_key.values() if not o.is_sweep_override())
    parameters = with_conditions([_parameter(o) for o in by_key.values() if o.is_sweep_override()])
    if not parameters:
        _refuse_other_notations(by_key)
        raise InputError(
            "the search space is empty: nothing varies; give a choice(), range() or interval() under "
            "hydra.sweeper.params or on the command line, as in training.batch_size=32,64"
        )
    for parameter in parameters:
        _refuse_secrets(parameter)
    return Space(parameters, fixed)


def _refuse_other_notations(overrides: Mapping[str, Override]) -> None:
    """Refuse a range that is written as a mapping, where nothing else is searched. Errors: InputError."""
    for key, override in overrides.items():
        value = override.value()
        if isinstance(value, dict) and is_search(value):
            raise InputError(f"search space of {key}: {several(key, value)}")


def _parsed(parser: OverridesParser, override: str) -> Override:
    try:
        return parser.parse_overrides([override])[0]  # which lets glob() look for config files
    except HydraException as error:
        raise InputError(f"search space: {override_error(override, str(error))}") from error
    except RAISES as error:
        raise InputError(f"search space of {override.partition('=')[0]}: {error}") from error


def _flat_params(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """List a sweep file's params. Errors: InputError where one is written as another program has it."""
    for key, value in params.items():
        if isinstance(value, Mapping):
            raise InputError(f"search space of {key}: {instead(str(key), value)}")
        yield str(key), value


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
        _refuse_nested_tags(str(override.input_line))
        if override.is_choice_sweep():
            return _choice(key, override)
        sweep, typed = override.value(), str(override.input_line).partition("=")[2]
        if isinstance(sweep, RangeSweep):
            axis, is_range = _range(sweep), True
        elif isinstance(sweep, IntervalSweep):
            axis, is_range = _interval(sweep), False
        else:
            raise InputError(f"search space of {key}: cannot read {override.input_line}")
        tags, prior = _conditions(sweep), _prior(sweep.tags, axis)
        return Parameter(key, axis, typed=typed, is_range=is_range, tags=tags, prior=prior)
    except (*RAISES, HydraException) as error:
        raise InputError(f"search space of {key}: {error}") from error


def _refuse_nested_tags(override: str) -> None:
    """Refuse a tag within a tag: Hydra would take the outer one only."""
    if re.search(r"\btag\([^()]*\btag\(", override):
        raise ValueError("the tags of one search stand together, as in tag(sgd,log,interval(0.1,1))")


def _conditions(sweep: RangeSweep | IntervalSweep) -> frozenset[str]:
    return frozenset(tag for tag in sweep.tags if tag != LOG and not is_prior(tag))


def _prior(tags: Iterable[str], axis: BaseDistribution) -> float | None:
    """Return the likely value that a tag says; None: none does. Errors: ValueError."""
    texts = sorted(tag.partition("=")[2].strip() for tag in tags if is_prior(tag))
    if not texts:
        return None
    if not isinstance(axis, IntDistribution | FloatDistribution):
        text = "a prior belongs to an interval, or to a range that is no choice among its steps"
        raise ValueError(text)  # noqa: TRY004 - of a person's expression
    try:
        [prior] = map(float, texts)
    except ValueError as error:
        raise ValueError(f"expected one number as its prior, as in 'prior=0.001'; got {texts}") from error
    if not axis.low <= prior <= axis.high:
        raise ValueError(f"its prior must be from {axis.low:g} to {axis.high:g}; got {prior:g}")
    return prior


def _choice(key: str, override: Override) -> Parameter:
    sweep = override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    shuffle: bool = getattr(sweep, "shuffle", False)
    _refuse_shuffle(shuffle=shuffle)
    if LOG in tags:
        raise ValueError(
            "tag log belongs to a range or an interval; the values of a choice are tried as they are"
        )
    if any(map(is_prior, tags)):
        raise ValueError(
            "a prior belongs to a range or an interval; a likely choice is a first trial: hydra.sweeper.first"
        )
    elements = list(override.sweep_iterator(transformer=Transformer.identity))
    values = [element.text if isinstance(element, QuotedString) else element for element in elements]
    if not values:
        raise ValueError(f"{override.input_line} matches nothing")
    texts = [Transformer.str(v) if isinstance(v, list | dict) else quoted(v) for v in values]
    if len(set(texts)) < len(texts):
        raise ValueError(f"a choice is given twice in {override.input_line}")
    labels = {text for text, value in zip(texts, values, strict=True) if _needs_label(value, values)}
    labels |= {quoted(value) for value in values if isinstance(value, str) and value in labels}
    held: list[Any] = [text if text in labels else value for text, value in zip(texts, values, strict=True)]
    typed = str(override.input_line).partition("=")[2]
    return Parameter(
        key,
        CategoricalDistribution(held),
        frozenset(labels),
        typed,
        _sources(key, typed),
        tags=frozenset(tags),
    )


def _sources(key: str, typed: str) -> dict[str, str]:
    """Return the text of each choice as it is written, by the override that a trial gets for it."""
    parser, found = OverridesParser.create(), {}
    for one in choices(typed):
        try:
            value = parser.parse_override(f"x={one}").value()
        except (HydraException, *RAISES):
            continue  # a part of something that is no plain list of choices
        found[f"{key}={Transformer.str(value) if isinstance(value, list | dict) else quoted(value)}"] = (
            f"{key}={one}"
        )
    return found


def _needs_label(value: Any, values: list[Any]) -> bool:
    """Tell whether Optuna cannot hold a choice, or would take it for another.

    To Python, 1, 1.0 and True are equal.
    """
    return isinstance(value, list | dict) or sum(value == other for other in values) > 1


def _refuse_shuffle(*, shuffle: bool) -> None:
    """Refuse what Hydra's own sweeper knows and a search does not obey."""
    if shuffle:
        raise ValueError(
            "shuffle() has no meaning in a search: its sampler decides the order; "
            "a grid in a random order is hydra/sweeper/sampler=grid hydra.sweeper.sampler.shuffle=true"
        )


def _range(sweep: RangeSweep) -> BaseDistribution:
    _refuse_shuffle(shuffle=sweep.shuffle)
    _refuse_infinite("start, stop and step of a range", sweep.start, sweep.stop, sweep.step)
    start, stop, step = (Decimal(repr(x)) for x in (sweep.start, sweep.stop, sweep.step))
    if step == 0:
        raise ValueError("the step of a range must not be 0")
    if not math.isfinite(float(stop) - float(start)):
        raise ValueError("the range is wider than a number can be, about 1.8e308")
    steps = (stop - start) / step
    if steps > LARGEST:
        raise ValueError(f"the range has more than {LARGEST:,} values; give a larger step")
    # Floats would add up: 0.1 + 2 * 0.1 is 0.30000000000000004, and range(0, 0.8, 0.1) would hold its stop.
    count = max(0, int(steps.to_integral_value(ROUND_CEILING)))
    if count == 0:
        raise ValueError("the range is empty (its stop is exclusive)")
    ends = (start, start + (count - 1) * step)
    low, high = min(ends), max(ends)
    is_whole = all(isinstance(x, int) for x in (sweep.start, sweep.step))
    if is_whole:
        _refuse_large(low, high)
    if LOG not in sweep.tags:
        if is_whole:
            return IntDistribution(int(low), int(high), step=abs(int(step)))
        return FloatDistribution(float(low), float(high), step=float(abs(step)))
    if low <= 0:
        raise ValueError(f"a logarithmic range begins above 0; got {low}")
    if is_whole and abs(step) == 1:
        return IntDistribution(int(low), int(high), log=True)
    # Optuna's logarithmic ranges have no steps: it would propose values between those that were written.
    if count > MOST_LOG_VALUES:
        raise ValueError(
            f"a logarithmic range with a step has {count:,} values, more than {MOST_LOG_VALUES}; "
            "give tag(log, interval(...)) for all values in between"
        )
    values = [low + i * abs(step) for i in range(count)]
    return CategoricalDistribution([int(v) if is_whole else float(v) for v in values])


def exact(distribution: BaseDistribution, value: Any) -> Any:
    """Return a proposed value as a person writes it.

    On a range with a step that is 0.3, where Optuna adds up to 0.30000000000000004.
    """
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    low, step = Decimal(repr(distribution.low)), Decimal(repr(distribution.step))
    return float(low + round((Decimal(repr(value)) - low) / step) * step)


def _interval(sweep: IntervalSweep) -> BaseDistribution:
    low, high = sweep.start, sweep.end
    if low is None or high is None:
        raise ValueError("the interval needs two ends")
    _refuse_infinite("the ends of an interval", low, high, high - low)
    log = LOG in sweep.tags
    if log and low <= 0:
        raise ValueError(f"a logarithmic interval begins above 0; got {low}")
    if isinstance(low, int) and isinstance(high, int):
        _refuse_large(low, high)
        return IntDistribution(low, high, log=log)
    return FloatDistribution(float(low), float(high), log=log)


def _refuse_infinite(what: str, *numbers: float | None) -> None:
    """Refuse what is no finite number."""
    if any(number is None or (isinstance(number, float) and not math.isfinite(number)) for number in numbers):
        raise ValueError(f"{what} must be finite numbers, up to 1e308")


def _refuse_large(*numbers: Decimal | float) -> None:
    if any(abs(int(number)) > LARGEST for number in numbers):
        raise ValueError(f"whole numbers are searched up to {LARGEST:,}; give their exponents instead")
