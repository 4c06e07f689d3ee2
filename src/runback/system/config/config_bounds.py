"""Bounds a config that somebody else wrote: what it holds, and what its references make of that."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from runback.errors import InputError

MAX_DEPTH = 30
MAX_VALUES = 10_000
MAX_TEXT = 10_000
"""Characters of one value."""

MAX_REFERENCES = 16
"""Values that refer to others: each may hold what it refers to several times over."""

MAX_EXPANDED_TEXT = 10**6
"""Characters of all values once references are followed."""

ELSEWHERE = 50
"""Values that a reference is taken to add: it may lead to a part of conf/, which is not in the config."""

MAX_BITS = 1024
"""The digits of a number: Python writes none of more than 4,300."""

_REFERENCE = re.compile(r"\$\{(\.*)([\w.\[\]]*)\}")


def bounded(text: str, what: str) -> Iterator[yaml.Event]:
    """Yield YAML's events of a text, up to where it holds more than any config; `what` opens the message.

    Errors: InputError, and YAML's own.
    """
    depth, references = 0, 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if count > MAX_VALUES:
            raise InputError(f"{what} has more than {MAX_VALUES:,} keys and values")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(f"{what} is nested too deep: expected at most {MAX_DEPTH} levels")
        value = getattr(event, "value", "")
        if len(value) > MAX_TEXT:
            raise InputError(
                f"{what} has a value of {len(value):,} characters; expected at most {MAX_TEXT:,}"
            )
        references += value.count("${")
        yield event
    if references > MAX_REFERENCES:
        raise InputError(f"{what} has {references} interpolations; expected at most {MAX_REFERENCES}")


def refuse_growth(tree: Any, what: str) -> None:
    """Raise InputError for a config with a huge number, or that grows where its references are followed.

    Nothing is resolved: it is counted, and no further than to the bound. `what` opens the message.
    """
    values, characters = 0, 0
    waiting: list[tuple[tuple[str, ...], Any, int]] = [((), tree, 0)]
    while waiting:
        path, value, followed = waiting.pop()
        values += 1
        if followed > MAX_REFERENCES:
            raise InputError(f"{what} has references that lead in a circle, at {'.'.join(path):.80}")
        if isinstance(value, dict | list):
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [((*path, str(key)), part, followed) for key, part in parts]
        elif isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise InputError(
                f"{what} has a number of {value.bit_length():,} bits at {'.'.join(path):.80}; "
                f"expected at most {MAX_BITS:,}"
            )
        elif isinstance(value, str):
            characters += len(value)
            for dots, keys in _REFERENCE.findall(value):
                values += ELSEWHERE
                base = path[: len(path) - len(dots)] if dots else ()
                target = (*base, *re.findall(r"\w+", keys))
                waiting.append((target, _at(tree, target), followed + 1))
        if values > MAX_VALUES or characters > MAX_EXPANDED_TEXT:
            raise InputError(
                f"{what} grows too large where its references are followed: expected at most "
                f"{MAX_VALUES:,} values of {MAX_EXPANDED_TEXT:,} characters"
            )


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    """Return what lies at a path of keys; None where nothing does."""
    for key in path:
        if isinstance(tree, dict):
            tree = next((part for name, part in tree.items() if str(name) == key), None)
        elif isinstance(tree, list) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        else:
            return None
    return tree
