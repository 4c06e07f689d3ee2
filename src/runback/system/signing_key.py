"""A key that only this user has: it tells their own records from those that were handed to them."""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from runback.system.files.whole_file import whole_file
from runback.system.home_folder import followed

SIZE = 32
"""Bytes of the key."""


def signature(parts: Mapping[str, bytes]) -> str | None:
    """Return this user's signature of these named contents; None where no key can be stored."""
    key = _key()
    return None if key is None else hmac.new(key, _digest(parts), hashlib.sha256).hexdigest()


def is_own(signed: str | None, parts: Mapping[str, bytes]) -> bool:
    """Return whether this user has signed exactly these contents under these names."""
    expected = signature(parts)
    return bool(signed and expected) and hmac.compare_digest(str(signed).encode(), str(expected).encode())


def fingerprint(parts: Mapping[str, bytes]) -> str:
    """Return the same text for the same named contents, and another one for others."""
    return _digest(parts).hex()


def _digest(parts: Mapping[str, bytes]) -> bytes:
    sums = [f"{name}\0{hashlib.sha256(content).hexdigest()}\n" for name, content in sorted(parts.items())]
    return hashlib.sha256("".join(sums).encode("utf-8", "surrogateescape")).digest()


def _key() -> bytes | None:
    try:
        file = _file()
        if not file.exists():
            _make(file)
        key = file.read_bytes()
    except (OSError, RuntimeError):  # no home, or one that cannot be written to
        return None
    return key if len(key) == SIZE else None


def _file() -> Path:
    """Return where the key is: https://specifications.freedesktop.org/basedir-spec/latest/."""
    named = os.environ.get("XDG_DATA_HOME", "")
    folder = Path(named) if named.startswith("/") else followed(Path("~/.local/share"))
    return folder / "runback" / "key"


def _make(file: Path) -> None:
    """Make a key, whole or not at all, once: of several processes the first one's stays."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with whole_file(file, permissions=0o600, replace=False) as stream:
        stream.write(secrets.token_bytes(SIZE))
