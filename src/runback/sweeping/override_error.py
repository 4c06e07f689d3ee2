"""Says in one line what is wrong with an override, where Hydra quotes its lexer."""

import difflib
import re

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from runback.system.config.override_text import elements, in_shell, quoted_override, quoted_text, with_quotes

FUNCTIONS = ("bool", "choice", "float", "glob", "int", "interval", "range", "shuffle", "sort", "str", "tag")
"""The functions of Hydra's override grammar."""

ELSEWHERE = {
    "uniform": "interval(LOW, HIGH)",
    "quniform": "range(LOW, STOP, STEP)",
    "suggest_float": "interval(LOW, HIGH)",
    "loguniform": "tag(log, interval(LOW, HIGH))",
    "log_uniform": "tag(log, interval(LOW, HIGH))",
    "log_uniform_values": "tag(log, interval(LOW, HIGH))",
    "log": "tag(log, interval(LOW, HIGH))",
    "randint": "range(LOW, STOP)",
    "int_uniform": "range(LOW, STOP)",
    "suggest_int": "range(LOW, STOP)",
    "categorical": "choice(A, B)",
    "grid_search": "choice(A, B)",
    "values": "choice(A, B)",
}
"""Names that other programs have for searches, and what is written here."""

USAGE = {
    "choice": "choice(A, B, ...) with values",
    "interval": "interval(LOW, HIGH) with two numbers",
    "range": "range(STOP), range(START, STOP) or range(START, STOP, STEP) with numbers",
    "tag": "tag(log, interval(LOW, HIGH)) or tag(log, range(START, STOP))",
}
"""Calls of the functions that search."""

_EVALUATED = re.compile(r"\w+ while evaluating '(?P<call>.*)': (?P<reason>[^\n]*)", re.DOTALL)

_LONE_COMMA = re.compile(r"(?:^|[(\[{,])\s*,|,\s*(?:$|[)\]}])")

_BRACKETS = {")": "(", "]": "[", "}": "{"}


def override_error(override: str, message: str) -> str:
    r"""Return one line that says why an override cannot be read, and how it would be written.

    `message` is Hydra's.

    >>> override_error("data.path=~/x", "token recognition error at: '~'")
    'cannot read \'data.path=~/x\': quote its value: "data.path=\'~/x\'"'
    """
    return f"cannot read '{override}': {_reason(override, message)}"


def _reason(override: str, message: str) -> str:
    key, _, value = override.partition("=")
    if not re.fullmatch(r"[~+]{0,2}[\w/.\-]+(@[\w.:]+)?", key) or ".." in key:
        return f"'{key}' is no key; expected a name or names with dots between them, as in model.dropout"
    if evaluated := _EVALUATED.search(message):
        return _evaluated(evaluated["call"], evaluated["reason"].strip())
    if unbalanced := _unbalanced(value):
        return unbalanced
    if _LONE_COMMA.search(value):
        return "a value is missing beside a comma; the empty text is written ''"
    mended = f"{key}={with_quotes(value, lambda text: not _can_be_read(text))}"
    if odd := _odd_key(value):
        return (
            f"no key of a mapping can be {odd!r} on the command line: write the mapping in a file for "
            "--config, or a list, if order says the same"
        )
    if _can_be_read(mended.partition("=")[2]) and mended != f"{key}={quoted_text(value)}":
        is_prose = len(elements(value)) > 1 and ", " in value
        whole = f", or as one text: {quoted_override(key, value)}" if is_prose else ""
        return f"quote its texts: {in_shell(mended)}{whole}"
    return f"quote its value: {quoted_override(key, value)}"


def _odd_key(value: str) -> str | None:
    """Return the first key of a mapping that the grammar has no way to write; None: there is none."""
    text = value.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return None
    keys = [one.partition(":")[0].strip().strip("'\"") for one in elements(text[1:-1])]
    return next((key for key in keys if key and not _can_be_read(f"{{{key}: 1}}")), None)


def _can_be_read(value: str) -> bool:
    try:
        OverridesParser.create().parse_override(f"x={value}")
    except (HydraException, ValueError):
        return False
    return True


def _evaluated(call: str, reason: str) -> str:
    """Say what is wrong with the call of a function."""
    name = call.partition("(")[0].strip()
    if "Unknown function" in reason:
        if instead := ELSEWHERE.get(name.lower().rpartition(".")[2]):
            return f"there is no {name}(); write {instead}"
        nearest = difflib.get_close_matches(name, FUNCTIONS, 1)
        hint = f"did you mean {nearest[0]}()?" if nearest else f"expected one of {', '.join(FUNCTIONS)}."
        return f"there is no {name}(); {hint} A text with brackets is quoted: {quoted_text(call)}"
    if "NoneType is incompatible" in reason and name == "choice":
        return f"choice() takes no null; write {call.partition('(')[2].removesuffix(')').strip()}"
    return f"expected {USAGE[name]}; got {call}" if name in USAGE else f"{name}(): {reason}"


def _unbalanced(value: str) -> str | None:
    """Name the first bracket or quote that has no partner."""
    opened: list[str] = []
    quote = None
    for place, sign in enumerate(value):
        if quote is not None:
            quote = None if sign == quote and value[place - 1] != "\\" else quote
        elif sign in "'\"":
            if place and value[place - 1].isalnum():
                return None  # an apostrophe
            quote = sign
        elif sign in "([{":
            opened.append(sign)
        elif sign in _BRACKETS and (not opened or opened.pop() != _BRACKETS[sign]):
            return f"the bracket {sign} closes none"
    if quote is not None:
        return f"the quote {quote} is not closed"
    return f"the bracket {opened[-1]} is not closed" if opened else None
