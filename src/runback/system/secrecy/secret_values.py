"""The values that this process knows to be secret, hidden wherever they occur, as CI systems do it."""

import base64
import functools
import html
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

from runback.system.secrecy.secret_formats import HIDDEN
from runback.system.secrecy.secret_names import is_plain, is_strong, secret_key, secret_variable, word_set
from runback.system.secrecy.url_secrets import password_in

SHORTEST = 8
"""Characters of an environment variable's value that is taken for a secret."""

SHORTEST_GIVEN = 5
"""Characters of a value given as a secret that is hidden elsewhere too: shorter ones occur by chance."""

LONGEST = 100_000
"""Characters of a secret that is looked for."""

PLAIN = word_set(
    "true false none null default password passwd secret token public private required optional "
    "disabled enabled localhost anonymous username changeme unknown undefined redacted digits "
    "float32 training"
)
"""Values that are words of every text."""

_LETTERS = re.compile(r"[A-Za-z][a-z]{0,15}")

_known: dict[str, tuple[str, ...]] = {}
_spared: set[str] = set()
_seen_environment: dict[str, str] = {}


def remember(value: str) -> None:
    """Take a value for a secret from now on, in this process: `redacted` hides it, quoted or escaped."""
    _remember_all(_parts(value))


def spare(names: Iterable[str]) -> None:
    """Take names that a config uses, of keys and choices, for no secrets, whatever the environment holds."""
    _spared.update(names)
    _in_order.cache_clear()


def without_secret_values(text: str) -> str:
    """Return `text` with `***` in place of each value that is known to be secret."""
    _remember_environment()
    for form in _in_order(len(_known)):
        if form in text:
            text = text.replace(form, HIDDEN)
    return text


def holds_secret_value(text: str) -> bool:
    """Say whether a value that is known to be secret occurs in `text`."""
    return without_secret_values(text) != text


def _remember_all(values: Iterable[str]) -> None:
    for one in filter(_is_special, values):
        _known.setdefault(one, _forms(one))
        _in_order.cache_clear()


def _remember_environment() -> None:
    """Take up what the environment has now, and what it had before."""
    now = dict(os.environ)
    if now == _seen_environment:
        return
    for name, value in now.items():
        if _seen_environment.get(name) != value:
            if secret_variable(name) and _looks_secret(name, value) and not _is_path(value):
                remember(value)
            else:
                _remember_all(_passwords(value))
    _seen_environment.clear()
    _seen_environment.update(now)


def _parts(value: str) -> list[str]:
    """Return what of a secret is looked for: all of it, of several lines each, of an address the password."""
    text = value.strip()[:LONGEST]
    parts = [text, *(line.strip() for line in text.splitlines() if "-----" not in line)]
    return [*dict.fromkeys([*parts, *_passwords(text)])]


def _passwords(text: str) -> list[str]:
    """Return the password of an address, as it stands there and as it is meant."""
    password = password_in(text)
    return [] if password is None else [password, unquote(password)]


def _is_special(text: str) -> bool:
    return (
        len(text) >= SHORTEST_GIVEN
        and text.lower() not in PLAIN
        and not text.startswith("${")
        and len(set(text)) > 2
        and HIDDEN not in text
    )


def _looks_secret(name: str, value: str) -> bool:
    """Say whether a variable's value can be a secret: the less its name says so, the more random it is."""
    if len(value) < SHORTEST:
        return False
    if is_strong(name):
        return _LETTERS.fullmatch(value) is None
    return not is_plain(value) if secret_key(name) else is_random(value)


def is_random(value: str) -> bool:
    """Say whether a value is as long and as mixed as what a machine makes."""
    letters, digits = sum(map(str.isalpha, value)), sum(map(str.isdigit, value))
    return len(value) >= 12 and letters >= 3 and digits >= 2 and " " not in value and len(set(value)) >= 8


def _is_path(value: str) -> bool:
    try:
        return value.startswith(("/", "~", ".")) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _forms(value: str) -> tuple[str, ...]:
    """Return the ways in which a value is written in text: as it is, escaped, quoted and encoded."""
    forms = [
        value,
        repr(value)[1:-1],
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(value))[3:-3],
        quote(value, safe="", errors="replace"),
        quote(value, errors="replace"),
        quote_plus(value, errors="replace"),
        html.escape(value),
        value.replace("'", "\\'"),
        value.replace("'", "'\"'\"'"),
        value.replace("'", "''"),
    ]
    if len(value) >= SHORTEST:
        encoded = value.encode("utf-8", "surrogatepass")
        coded = (base64.b64encode(encoded), base64.urlsafe_b64encode(encoded))
        forms += [
            one.rstrip(b"=")[:-1].decode() for one in coded
        ]  # the last character depends on what follows
        forms.append(encoded.hex())
    return tuple(dict.fromkeys(form for form in forms if len(form) >= SHORTEST_GIVEN))


@functools.lru_cache(1)
def _in_order(count: int) -> tuple[str, ...]:
    """Return all forms, the longest first: a short one may be part of it."""
    forms = {form for value, forms in _known.items() if value not in _spared for form in forms}
    return tuple(sorted(forms, key=len, reverse=True))
