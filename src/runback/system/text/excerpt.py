"""Cuts text that anybody may have written to a bounded length, and asks an exception what it says."""

SAID = 10_000
"""Characters of what an exception says that are looked at: a message may be as long as its data."""


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
