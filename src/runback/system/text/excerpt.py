"""Cuts text that anybody may have written to a bounded length, and asks an exception what it says."""

import re

SAID = 10_000
"""Characters of what an exception says that are looked at: a message may be as long as its data."""

PREFACES = ("Exception encountered when calling", "Error when deserializing class")
"""Beginnings of Keras' lines that say where it was, not what is wrong."""

ENCOUNTERED = "Exception encountered: "
"""What Keras puts before the exception of a class's own code."""

_STYLE = re.compile(r"\x1b\[[\d;]*m")
"""A terminal's letters for bold and for colours."""


def excerpt(text: str, limit: int) -> str:
    """Return about `limit` characters of `text`: its beginning and its end, and how much lies between."""
    left_out = len(text) - limit
    if left_out <= 0:
        return text
    head = limit // 2
    return f"{text[:head]}\n… {left_out:,} characters left out …\n{text[head + left_out :]}"


def said(error: BaseException) -> str:
    """Return what an exception says, an excerpt of it, also where its own code for that is broken."""
    try:
        return excerpt(str(error), SAID)
    except Exception as broken:
        return f"(its text cannot be had: {type(broken).__name__})"


def telling_line(error: BaseException) -> str:
    """Return the line of an exception that says what is wrong; Keras first says where it was."""
    lines = [line.strip() for line in _STYLE.sub("", said(error)).splitlines() if line.strip()]
    own = [line.removeprefix(ENCOUNTERED) for line in lines if line.startswith(ENCOUNTERED)]
    telling = [line for line in lines if not line.startswith(PREFACES)]
    return (own or telling or lines or [type(error).__name__])[0]
