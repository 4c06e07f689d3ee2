"""The text of an override's value: taken apart at its commas, and put in quotes where it needs them."""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

_CALL = re.compile(r"(\s*(?:choice|shuffle|sort)\s*\(|\s*\[)(.*)([)\]]\s*)", re.DOTALL)
"""A function whose arguments are values, or a list."""

_MAPPING = re.compile(r"(\s*\{)(.*)(\}\s*)", re.DOTALL)


# A string that Hydra's grammar reads back as the same string without quotes.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./\-]*")
_NOT_STRINGS = {"null", "true", "false", "nan", "inf"}


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
    return quoted_text(value)


def quoted_value(value: Any) -> str:
    """Write a scalar, a list or a mapping so that Hydra's grammar reads back the same value.

    Keys of mappings stand as they are: the grammar takes none in quotes.

    >>> quoted_value({"a": [1, "b,c"]})
    "{a: [1, 'b,c']}"
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {quoted_value(content)}" for key, content in value.items()) + "}"
    return f"[{', '.join(map(quoted_value, value))}]" if isinstance(value, list | tuple) else quoted(value)


def quoted_text(text: str) -> str:
    r"""Write a text in quotes, so that Hydra's grammar reads back the same text.

    >>> quoted_text("it's")
    "'it\\'s'"
    """
    # The grammar unescapes \' everywhere, and backslashes only in front of a quote.
    escaped = re.sub(r"(\\*)('|\Z)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), text)
    return f"'{escaped}'"


def quoted_override(key: str, value: str) -> str:
    """Return an override whose value is a text, in quotes for a shell."""
    return in_shell(f"{key}={quoted_text(value)}")


def in_shell(override: str) -> str:
    """Write an override for a shell, in the quotes that are easiest to read."""
    return shlex.quote(override) if set(override) & set('$`\\"!') else f'"{override}"'


def elements(text: str) -> list[str]:
    """Take a text apart at the commas that stand in no brackets and no quotes.

    >>> elements("a,[1,2],'b,c'")
    ['a', '[1,2]', "'b,c'"]
    """
    found, begin, depth, quote, is_escaped = [], 0, 0, "", False
    for place, sign in enumerate(text):
        if is_escaped or sign == "\\":
            is_escaped = not is_escaped
        elif quote or (sign in "'\"" and not text[place - 1 : place].isalnum()):  # else it is an apostrophe
            quote = "" if quote == sign else quote or sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
        elif sign == "," and depth == 0:
            found.append(text[begin:place])
            begin = place + 1
    return [*found, text[begin:]]


def choices(value: str) -> list[str]:
    """Return the values of a choice as they are written.

    >>> choices("choice(a, 1e3)")
    ['a', '1e3']
    """
    call = _CALL.fullmatch(value)
    if call and not call[1].strip().startswith("["):
        return choices(call[2])
    pieces = elements(value)
    return [piece for one in pieces for piece in choices(one)] if len(pieces) > 1 else [value.strip()]


def with_quotes(value: str, needs: Callable[[str], bool]) -> str:
    """Write the texts in a value that need quotes with quotes: those of a choice, a list or a mapping too."""
    pieces = elements(value)
    if len(pieces) > 1:
        return ",".join(with_quotes(piece, needs) for piece in pieces)
    if call := _CALL.fullmatch(value):
        return f"{call[1]}{with_quotes(call[2], needs)}{call[3]}"
    if mapping := _MAPPING.fullmatch(value):
        pairs = [one.partition(":") for one in elements(mapping[2])]
        inner = ",".join(f"{key}{colon}{with_quotes(content, needs)}" for key, colon, content in pairs)
        return f"{mapping[1]}{inner}{mapping[3]}"
    text = value.strip()
    return value.replace(text, quoted_text(text)) if text and needs(text) else value
