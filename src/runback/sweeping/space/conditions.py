"""Reads from the tags of a parameter's search with which choices of another parameter it is searched only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runback.errors import InputError
from runback.system.config.override_text import quoted
from runback.system.text.listing import listed

if TYPE_CHECKING:
    from runback.sweeping.space.search_space import Parameter

LOG = "log"
"""The tag that is no condition: a logarithmic scale."""

PRIOR = "prior"
"""What stands before `=` in the tag that is no condition either: a likely value."""

SHOWN = 8
"""Choices that a message lists."""


def is_prior(tag: str) -> bool:
    """Tell whether a tag says a likely value, as prior=0.001."""
    return tag.partition("=")[0].strip() == PRIOR


def with_conditions(parameters: "Sequence[Parameter]") -> "tuple[Parameter, ...]":
    """Return the parameters with what their tags say.

    A tag is a choice of the searched parameter that the key lies in, as sgd of optimizer.momentum, or names
    another one, as 'optimizer=sgd'. Errors: InputError for a tag that is neither, or whose parameter is
    itself searched with some choices only.
    """
    by_name = {parameter.name: parameter for parameter in parameters}
    return tuple(
        _with_condition(parameter, by_name) if parameter.tags else parameter for parameter in parameters
    )


def _with_condition(parameter: "Parameter", by_name: "Mapping[str, Parameter]") -> "Parameter":
    named = dict.fromkeys(_named(tag, parameter, by_name) for tag in sorted(parameter.tags))
    owners = list(dict.fromkeys(owner for owner, _ in named))
    if len(owners) > 1:
        raise _refused(parameter, f"its tags are of {listed(owners, SHOWN)}: one of them can decide")
    owner = by_name[owners[0]]
    if owner.tags:
        raise _refused(parameter, f"{owner.name} is itself searched with some choices only")
    texts = {text for _, text in named}
    return replace(
        parameter, only_with=(owner.name, tuple(c for c in _choices(owner) if _text(owner, c) in texts))
    )


def _named(tag: str, parameter: "Parameter", by_name: "Mapping[str, Parameter]") -> tuple[str, str]:
    """Return the parameter that a tag is of, and its choice as a text."""
    key, sign, text = tag.partition("=")
    name = key.lstrip("+").strip() if sign else _owner(parameter.name, by_name)
    if name is None:
        raise _refused(
            parameter,
            f"unknown tag {tag!a:.100}; there is log, 'prior=VALUE' and, for a key that only some choices of "
            "a searched group have, the names of these, as in optimizer=sgd,adam "
            "optimizer.momentum=tag(sgd,interval(0,0.9))",
        )
    choices = _choices(by_name[name]) if name in by_name and name != parameter.name else []
    texts = [_text(by_name[name], choice) for choice in choices]
    found = text.strip() if sign else tag
    if not texts:
        raise _refused(parameter, f"tag {tag!a:.100} needs a choice to be searched over {name!a:.100}")
    if found not in texts:
        raise _refused(
            parameter, f"tag {tag!a:.100} is no choice of {name}, which has {listed(texts, SHOWN)}"
        )
    return name, found


def _owner(key: str, by_name: "Mapping[str, Parameter]") -> str | None:
    """Return the parameter that a key lies in: optimizer of optimizer.momentum."""
    parts = key.partition("@")[0].split(".")
    names = {name.partition("@")[0].replace("/", "."): name for name, one in by_name.items() if _choices(one)}
    above = (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((names[name] for name in above if name in names), None)


def _choices(parameter: "Parameter") -> list[Any]:
    return list(getattr(parameter.distribution, "choices", ()))


def _text(owner: "Parameter", choice: Any) -> str:
    return choice if isinstance(choice, str) or choice in owner.labels else quoted(choice)


def _refused(parameter: "Parameter", reason: str) -> InputError:
    return InputError(f"search space of {parameter.name}: {reason}")
