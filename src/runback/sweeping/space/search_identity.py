"""The search of a study: stored in it, and compared when its sweep goes on."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from runback.errors import InputError
from runback.sweeping.space.search_space import Space, described
from runback.system.config.override_text import quoted
from runback.system.secrecy.config_secrets import masked_override
from runback.system.text.listing import listed

SHOWN = 4
"""Differences that a message lists; it counts the others."""

GRID_TOLERANCE = 1e-9
"""The share of a step that an old grid's points may be off the new one's, which are sums of floats."""


@dataclass(frozen=True)
class Search:
    """The objectives' directions, the overrides and config that all trials share, and the search space.

    By parameter, `labels` are the choices that stand in the space as texts, see `search_space.Parameter`, and
    `conditions` say with what it is searched only, and its prior.
    """

    directions: tuple[str, ...]
    fixed: tuple[str, ...]
    space: Mapping[str, BaseDistribution]
    base: Mapping[str, str]
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, space: Space, directions: Sequence[str], base: Mapping[str, str]) -> Self:
        """Return what a sweep is about to search. `base` has the value of each key of the shared config."""
        return cls(
            tuple(directions),
            tuple(sorted(map(masked_override, space.fixed))),
            space.distributions,
            dict(base),
            {parameter.name: parameter.labels for parameter in space.parameters if parameter.labels},
            {parameter.name: parameter.qualified for parameter in space.parameters if parameter.qualified},
        )

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote; studies from before there were labels or conditions have none."""
        space = {name: json_to_distribution(json.dumps(axis)) for name, axis in content["space"].items()}
        labels = {name: frozenset(texts) for name, texts in content.get("labels", {}).items()}
        return cls(
            tuple(content["directions"]),
            tuple(content["fixed"]),
            space,
            content["base"],
            labels,
            content.get("conditions", {}),
        )

    def as_json(self) -> dict[str, Any]:
        """Return what a study keeps."""
        return {
            "directions": list(self.directions),
            "fixed": list(self.fixed),
            "space": {name: json.loads(distribution_to_json(axis)) for name, axis in self.space.items()},
            "base": dict(self.base),
            "labels": {name: sorted(texts) for name, texts in self.labels.items()},
            "conditions": dict(self.conditions),
        }

    def choices(self, name: str) -> list[str]:
        """Return the choices of a parameter as texts in the override grammar; none of a range."""
        return choice_texts(self.space[name], self.labels.get(name, frozenset()))


def choice_texts(axis: BaseDistribution, labels: Collection[str]) -> list[str]:
    """Return the choices of an axis as texts in the override grammar, which `labels` are already."""
    return [one if one in labels else quoted(one) for one in getattr(axis, "choices", ())]


def refuse_other(known: Search | None, asked: Search, name: str, *, extend: bool) -> None:
    """Raise InputError unless `asked` is the study's own search or, with `extend`, one that widens it.

    The results of any other would not compare with those that the study has. It has none yet where its own
    search is not `known`.
    """
    changes = [] if known is None else differences(known, asked)
    if known is None or not changes:
        return
    can_extend = is_extension(known, asked)
    if can_extend and extend:
        return
    only = "; --extend takes wider ranges and more choices only" if extend else ""
    added = "; to search what was added: --extend (hydra.sweeper.extend=true; in a notebook extend=True)"
    accept = added if can_extend else only
    raise InputError(
        f"sweep {name} was begun with another config: {listed(changes, SHOWN, '; ')}{accept}; "
        "to start a fresh study: --new (or hydra.sweeper.name=NAME; in a notebook name='NAME')"
    )


def differences(known: Search, asked: Search) -> list[str]:
    """Return what differs, a text for each key: its value in the study, and now."""
    return [
        *_changed({"direction": ", ".join(known.directions)}, {"direction": ", ".join(asked.directions)}),
        *_changed(*_texts(known, asked)),
        *_changed(_by_key(known.fixed), _by_key(asked.fixed)),
        *_changed(known.base, asked.base),
    ]


def is_extension(known: Search, asked: Search) -> bool:
    """Tell whether all that differs is ranges that have become wider, and choices that there are more of."""
    if (known.directions, known.fixed, known.base) != (asked.directions, asked.fixed, asked.base):
        return False
    if known.conditions != asked.conditions:
        return False
    return known.space.keys() == asked.space.keys() and all(
        _widens(known, asked, name) for name in known.space
    )


def _is_same(known: Search, asked: Search, name: str) -> bool:
    """Tell whether two axes have the same values of the same types: to Python, 1 is True."""
    if distribution_to_json(known.space[name]) != distribution_to_json(asked.space[name]):
        return False
    return known.choices(name) == asked.choices(name)


def _widens(known: Search, asked: Search, name: str) -> bool:
    """Tell whether an axis is the same, has a wider range on the same grid, or has more choices."""
    old, new = known.space[name], asked.space[name]
    if _is_same(known, asked, name):
        return True
    if isinstance(old, CategoricalDistribution) and isinstance(new, CategoricalDistribution):
        return set(known.choices(name)) <= set(asked.choices(name))
    numeric = (FloatDistribution, IntDistribution)
    if type(old) is not type(new) or not isinstance(old, numeric) or not isinstance(new, numeric):
        return False
    if (old.log, old.step) != (new.log, new.step) or not new.low <= old.low <= old.high <= new.high:
        return False
    steps = 0.0 if old.step is None else (old.low - new.low) / old.step
    return abs(steps - round(steps)) < GRID_TOLERANCE


def _texts(known: Search, asked: Search) -> tuple[dict[str, str], dict[str, str]]:
    """Write the axes of two spaces, so that those that differ read differently."""
    texts, others = _axes(known), _axes(asked)
    for name in texts.keys() & others.keys():
        if texts[name] == others[name] and not _is_same(known, asked, name):
            texts[name], others[name] = _in_full(known, name), _in_full(asked, name)
    return texts, others


def _axes(search: Search) -> dict[str, str]:
    return {
        name: ", ".join(filter(None, [described(axis), search.conditions.get(name)]))
        for name, axis in search.space.items()
    }


def _in_full(search: Search, name: str) -> str:
    return "/".join(search.choices(name)) or distribution_to_json(search.space[name])


def _by_key(overrides: Sequence[str]) -> dict[str, str]:
    return dict(override.partition("=")[::2] for override in overrides)


def _changed(known: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    keys = [key for key in {**known, **asked} if known.get(key) != asked.get(key)]
    return [f"{key} {known.get(key, 'not there')}, now {asked.get(key, 'not there')}" for key in keys]
