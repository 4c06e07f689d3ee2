"""Takes the secrets out of text: the one redactor for all that is written or shown."""

import re

from runback.system.secrecy.header_credentials import without_headers
from runback.system.secrecy.named_secrets import without_named
from runback.system.secrecy.secret_formats import without_tokens
from runback.system.secrecy.secret_names import secret_variable
from runback.system.secrecy.secret_values import without_secret_values
from runback.system.secrecy.url_secrets import without_passwords
from runback.system.text.excerpt import excerpt

WITH_DEFAULT = re.compile(r"\$\{oc\.env:(\w+),((?:[^{}]|\{[^{}]*\})*)\}")
"""A reference to an environment variable, with what it is where there is none."""


def redacted(text: str) -> str:
    """Return `text` with `***` in place of each secret in it; doing so again changes nothing.

    Secrets are known by value (see `secret_values.remember`), by their own form (private keys, tokens of
    well-known services, passwords in addresses), and by the name that stands before them, in JSON, YAML,
    Python, a command line, an environment or an HTTP header.
    """
    if "${oc.env:" in text:
        text = WITH_DEFAULT.sub(_without_default, text)
    return without_named(without_headers(without_passwords(without_values(text))))


def without_values(text: str) -> str:
    """Return `text` without the secrets that are known by value or by their own form.

    Before a text is cut they go: of one that is cut through, a part would stay.
    """
    return without_tokens(without_secret_values(text))


def redacted_excerpt(text: str, limit: int) -> str:
    """Return about `limit` characters of `text`, its beginning and its end, without secrets."""
    return redacted(excerpt(without_values(text), limit))


def _without_default(match: re.Match[str]) -> str:
    return f"${{oc.env:{match[1]}}}" if secret_variable(match[1]) else match[0]
