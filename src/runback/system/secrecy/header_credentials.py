"""Credentials in HTTP headers, and in the commands that send them."""

import re

from runback.system.secrecy.secret_formats import HIDDEN

_SCHEME = re.compile(
    r"\b(Bearer|Basic|Digest|Negotiate|OAuth)([ \t]++|%20)(?![*])([A-Za-z0-9._~+/=:-]{6,}+)", re.IGNORECASE
)

_CODED = re.compile(r"(?=[^0-9]*[0-9]|.*[a-z][A-Z]|.*=)", re.DOTALL)
"""Text unlike any word: with a digit, a capital within, or the filling of Base64."""

_WORDS = ("authentication", "authorization", "header", "headers", "scheme", "security", "tokens")

_USER = re.compile(r"(?<![\w-])(-u|--user|--proxy-user)([ =]['\"]?)([^\s:'\"]{1,80}):[^\s'\"]++")

_NETRC = re.compile(r"\b(login[ \t]++\S++\s++password[ \t]++)\S++")


def without_headers(text: str) -> str:
    """Return `text` without what follows `Bearer`, `Basic`, curl's `--user` and a .netrc's `password`."""
    lower = text.lower()
    if any(scheme in lower for scheme in ("bearer", "basic", "digest", "negotiate", "oauth")):
        text = _SCHEME.sub(_hidden, text)
    if "-u" in text:
        text = _USER.sub(rf"\1\2\3:{HIDDEN}", text)
    return _NETRC.sub(rf"\1{HIDDEN}", text) if "login" in text else text


def _hidden(match: re.Match[str]) -> str:
    is_word = match[3].lower().rstrip(".:") in _WORDS or match[1] != "Bearer"
    return match[0] if is_word and not _CODED.match(match[3][:300]) else f"{match[1]}{match[2]}{HIDDEN}"
