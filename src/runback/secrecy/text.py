"""Takes the secrets out of text: the one redactor for all that is written or shown."""

from runback.secrecy.formats import without_tokens
from runback.secrecy.headers import without_headers
from runback.secrecy.known import without_known
from runback.secrecy.named import without_named
from runback.secrecy.urls import without_passwords


def redacted(text: str) -> str:
    """Return `text` with `***` in place of each secret in it; doing so again changes nothing.

    Secrets are known by value (see `known.remember`), by their own form (private keys, tokens of well-known
    services, passwords in addresses), and by the name that stands before them, in JSON, YAML, Python, a
    command line, an environment or an HTTP header.
    """
    return without_named(without_headers(without_passwords(without_tokens(without_known(text)))))
