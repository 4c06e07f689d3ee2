"""Users, passwords and signatures in addresses."""

import re
from itertools import pairwise
from urllib.parse import urlsplit, urlunsplit

from runback.system.secrecy.secret_formats import HIDDEN

_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]{0,30}+)://([^\s\"'<>`|]*+)")

_NEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}+://")

_INTERPOLATIONS = re.compile(r"(?:\$\{[^{}]*\}|[:@])*+")

_QUERY = re.compile(
    r"([?&](?:[\w.-]{0,40}?(?:token|signature|secret|password|passwd|credential|api-?key|apikey)|"
    r"sig|sign|key|code|auth|jwt|pwd|pass)=)[^&;\s\"'<>#)\]}]++",
    re.IGNORECASE,
)


def without_passwords(text: str) -> str:
    """Return `text` with `***` for users, passwords and signatures in the addresses in it."""
    if "://" in text:
        text = _ADDRESS.sub(_hidden, text)
    return _QUERY.sub(rf"\1{HIDDEN}", text) if "=" in text and ("?" in text or "&" in text) else text


def without_credentials(url: str) -> str:
    """Return a remote's URL without user, password, query and fragment.

    The scp-like form of git, `git@host:path`, holds no password and stays as it is.
    """
    clean = without_passwords(url)
    parts = urlsplit(clean)
    if not parts.scheme or not parts.netloc:
        return clean
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def password_in(url: str) -> str | None:
    """Return the password in a text that is an address, None where there is none."""
    match = _ADDRESS.fullmatch(url)
    if match is None or _NEXT.search(match[2]):
        return None
    return match[2][: max(0, _end_of_user(match[2]) - 1)].partition(":")[2] or None


def _hidden(match: re.Match[str]) -> str:
    """Hide what is secret in addresses that follow each other without a space, as in a list of servers."""
    whole = match[0]
    following = [one.start() for one in _NEXT.finditer(whole, len(match[1]) + 3)]
    parts = [whole[start:end] for start, end in pairwise([0, *following, len(whole)])]
    return "".join(_one_hidden(*part.split("://", 1)) for part in parts)


def _one_hidden(scheme: str, rest: str) -> str:
    end = _end_of_user(rest)
    if not end or _INTERPOLATIONS.fullmatch(rest[:end]):
        return f"{scheme}://{rest}"
    return f"{scheme}://{HIDDEN}@{rest[end:]}"


def _end_of_user(rest: str) -> int:
    """Return where the host begins after a user and a password, in which `/`, `?`, `#` and `@` may stand.

    0 where there is no user.
    """
    last = rest.rfind("@") + 1
    host = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if "@" in host:
        # Whatever comes after may be the path, or the rest of a password; the latter is what must not show.
        return last
    user, colon, rest_of_host = host.partition(":")
    is_port = rest_of_host.isdigit() and len(rest_of_host) <= len("65535")
    is_host = "." in user or user.startswith("[") or user.lower() == "localhost"
    return last if colon and rest_of_host and not (is_port and is_host) else 0
