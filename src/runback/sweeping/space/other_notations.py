"""Says how a search that is written as in other programs, a mapping, is written in the override grammar."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import QuotedString, Transformer

from runback.system.config.override_text import quoted_value

LOW, HIGH = ("min", "low", "lower", "start"), ("max", "high", "upper", "stop", "end")
STEP = ("step", "q", "quantization")
CHOICES = ("values", "choices", "choice", "categories", "options")
KINDS = ("distribution", "type", "scale", "sampling", "space")
"""Fields that other programs describe the search of a parameter with."""

BELLS = ("normal", "gauss", "beta")
"""Parts of the names of distributions that have no ends."""


def is_search(fields: Mapping[Any, Any]) -> bool:
    """Tell whether a mapping has the ends, the choices or the distribution of a search."""
    names = {str(name).lower() for name in fields}
    return bool(names & {"distribution", *CHOICES}) or (bool(names & {*LOW}) and bool(names & {*HIGH}))


def several(key: str, value: Any) -> str:
    """Say how the elements of a list, or a range that is written as a mapping, are searched.

    The value is a list or a mapping as Hydra reads it from an override.
    """
    if isinstance(value, dict):
        return instead(key, {str(name): _plain(content) for name, content in value.items()}, "=")
    elements = ",".join(map(Transformer.str, value))
    return f"to search its elements write {key}={elements}" if elements else "it has no elements to search"


def instead(key: str, value: Mapping[str, Any], sign: str = ": ") -> str:
    """Say how a mapping is written: a range, choices, or keys in a key. `sign` stands behind a key."""
    fields = {str(name).lower(): content for name, content in value.items()}
    kind = " ".join(str(fields.get(name, "")).lower() for name in KINDS).strip()
    low, high = _number(fields, LOW), _number(fields, HIGH)
    choices = next((fields[name] for name in CHOICES if isinstance(fields.get(name), list)), None)
    if any(bell in kind for bell in BELLS):
        return f"there is no distribution {kind} here; write {key}{sign}interval(LOW, HIGH)"
    if low is not None and high is not None:
        ways = " or ".join(f"{key}{sign}{way}" for way in _ranges(kind, fields, low, high))
        return f"write {ways}"
    if choices is not None:
        unweighted = "; probabilities have no counterpart" if "probabilities" in fields else ""
        return f"write {key}{sign}choice({', '.join(map(quoted_value, choices))}){unweighted}"
    if "value" in fields and set(fields) <= {"value", *KINDS}:
        return f"write {key}{sign}{quoted_value(fields['value'])}"
    return _keys(key, value, sign)


def _keys(key: str, value: Mapping[str, Any], sign: str) -> str:
    """Say how a mapping is written that describes no search: key by key, or as one value."""
    if not value:
        return f"it is empty; leave it out, or write {key}{sign}interval(0.1, 0.5)"
    inner, content = next(iter(value.items()))
    written = content if isinstance(content, str) else quoted_value(content)
    by_key = f"keys in a key are written {key}.{inner}{sign}{written}"
    if sign == "=":
        return by_key
    return (
        f"expected an expression such as interval(0.1, 0.5); {by_key}, "
        f'and a mapping that is one value {key}: "{quoted_value(value)}"'
    )


def _ranges(kind: str, fields: Mapping[str, Any], low: float, high: float) -> list[str]:
    """Return the expressions for a range with both its ends; two where it can be read in two ways."""
    is_log = "log" in kind or fields.get("log") is True
    if kind.startswith("inv_log") and "values" not in kind:
        low, high = -high, -low
    by_exponents = [_log(_short(math.exp(low)), _short(math.exp(high)))] if _are_exponents(kind, high) else []
    if is_log and low <= 0:
        return by_exponents or ["tag(log, interval(LOW, HIGH)), whose ends are above 0"]
    step = _number(fields, STEP) or (1 if kind.startswith("q_") else None)
    text = _range(kind, low, high, step)
    if not is_log and text.startswith("range(") and step is None and "int" not in kind:
        return [text, f"interval({low}, {high}), where it takes fractions"]
    if not is_log:
        return [text]
    return [f"tag(log, {text})", *(f"{one}, where the ends are exponents of e" for one in by_exponents)]


def _are_exponents(kind: str, high: float) -> bool:
    """Tell whether a distribution may be W&B's log_uniform, whose ends are exponents of e."""
    return "log_uniform" in kind and "values" not in kind and high < math.log(1e308)


def _range(kind: str, low: float, high: float, step: float | None) -> str:
    """Write a range that holds both its ends, if they are on its steps."""
    is_whole = all(isinstance(one, int) for one in (low, high, step or 1))
    is_continuous = "int" not in kind and ("uniform" in kind or kind in ("float", "double"))
    if step is None and (not is_whole or is_continuous):
        return f"interval({low}, {high})"
    if is_whole:
        return f"range({low}, {high + 1}{f', {step}' if step not in (None, 1) else ''})"
    first, last, width = (Decimal(str(one)) for one in (low, high, step))
    is_on_step = width > 0 and (last - first) % width == 0
    return f"range({low}, {last + width if is_on_step else last}, {step})"


def _log(low: str, high: str) -> str:
    return f"tag(log, interval({low}, {high}))"


def _short(number: float) -> str:
    return f"{number:.4g}"


def _number(fields: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Return the number that a mapping has under one of these names, None where there is none."""
    found = (fields.get(name) for name in names)
    return next((one for one in found if isinstance(one, int | float) and not isinstance(one, bool)), None)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return value.text if isinstance(value, QuotedString) else value
