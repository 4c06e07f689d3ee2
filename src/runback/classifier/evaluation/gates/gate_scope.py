"""Refuses gates on groups and classes that there are not, before anything is measured."""

import re
from collections.abc import Sequence

from runback.classifier.evaluation.gates.gate_file import Gates
from runback.classifier.evaluation.groups.metadata import grouping_keys
from runback.errors import InputError
from runback.system.text.listing import did_you_mean

_OF_GROUPING = re.compile(r"(?:worst_(.+)_accuracy|(.+)_gap|(.+)_equalized_odds_difference)")


def refuse_unknown_groups(
    gates: Sequence[Gates], class_names: Sequence[str], grouping_names: Sequence[str]
) -> None:
    """Raise InputError where a condition names a class, or a grouping, that is none of these."""
    for one in gates:
        for condition in one.conditions:
            problem = _problem(condition.number, class_names, grouping_names)
            if problem is not None:
                raise InputError(f"gates {one.name}: {condition.number!a:.100}: {problem}")


def _problem(number: str, class_names: Sequence[str], grouping_names: Sequence[str]) -> str | None:
    section, _, rest = number.partition(".")
    name, _, inner = rest.partition(".")
    if section != "groups":
        return _unknown(inner, class_names, "class") if name == "classes" else None
    if name == "groupings":
        return _unknown(inner, grouping_names, "grouping")
    match, keys = _OF_GROUPING.fullmatch(name), grouping_keys(grouping_names)
    if match is None or match[1] in keys or match[2] in keys or match[3] in keys:
        return None
    found = next(key for key in match.groups() if key is not None)
    hint = did_you_mean(found, keys, f"expected one of {', '.join(keys):.300}")
    return f"there is no such grouping: {hint} (the columns of --metadata make more)"


def _unknown(inner: str, names: Sequence[str], what: str) -> str | None:
    if any(inner.startswith(f"{name}.") for name in names):
        return None
    return f"there is no such {what}; expected one of {', '.join(names):.300}"
