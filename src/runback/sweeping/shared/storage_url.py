"""The address of a study's database, which never has a password in it."""

import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from runback.errors import InputError

SCHEME = "postgresql"

KEY = "hydra.sweeper.storage"

ARGUMENT = "the study's address"
"""What an address is called that a person has typed, beside KEY."""

OPTIONS = frozenset({"sslmode", "channel_binding", "target_session_attrs"})
"""Parameters that an address may have: none that names a file, a password or another server."""

LONGEST = 500
"""Characters of an address."""

ADVICE = "set PGPASSWORD, or write it into ~/.pgpass (see PGPASSFILE)"

_NAME = re.compile(r"[^\x00-\x1f\x7f/?#\\]{1,63}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")

REQUIRES_AUTH = 160_000
"""The version of libpq from which on it can refuse how a server asks for a password."""

AWAY_AFTER = 30
"""Seconds after which a server that does not answer any more counts as gone."""


@dataclass(frozen=True)
class StorageUrl:
    """`postgresql://USER@HOST:PORT/DATABASE`; what is left out is as libpq has it, as by PGUSER."""

    database: str
    user: str | None = None
    host: str | None = None
    port: int | None = None
    options: tuple[tuple[str, str], ...] = ()
    is_of_file: bool = False
    """Whether it was read from a file that others may have written: it gets no password, nor its MD5."""

    @classmethod
    def parse(cls, text: Any, what: str = KEY) -> Self:
        """Return an address. Errors: InputError, which never repeats a password; `what` opens the message."""
        example = "expected postgresql://USER@HOST:PORT/DATABASE"
        if not isinstance(text, str) or len(text) > LONGEST or not text.startswith(f"{SCHEME}://"):
            raise InputError(f"{what}: {example}, and nothing else")
        try:
            parts = urlsplit(text)
            port = parts.port
            options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        except ValueError:
            raise InputError(f"{what}: {example}; this is no address") from None
        user, at, host = parts.netloc.rpartition("@")
        if ":" in user or any("pass" in key.lower() for key, _ in options):
            raise InputError(f"{what} must hold no password; {ADVICE}")
        named = parts.netloc[len(user) + len(at) :]
        host = named if port is None else named.rpartition(":")[0]
        database, user = unquote(parts.path.removeprefix("/")), unquote(user)
        is_named = _NAME.fullmatch(database) and (not at or _NAME.fullmatch(user))
        if not is_named or parts.fragment or (host and not _HOST.fullmatch(host)):
            raise InputError(f"{what}: {example}; this has other parts")
        for key, _ in options:
            if key not in OPTIONS:
                raise InputError(f"{what} may have the parameters {', '.join(sorted(OPTIONS))} only")
        is_of_file = what not in (KEY, ARGUMENT)
        return cls(database, user or None, host or None, port, tuple(sorted(options)), is_of_file)

    def __str__(self) -> str:
        """The address."""
        user = "" if self.user is None else f"{quote(self.user, safe='')}@"
        port = "" if self.port is None else f":{self.port}"
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in self.options)
        place = f"{user}{self.host or ''}{port}/{quote(self.database, safe='')}"
        return f"{SCHEME}://{place}{'?' if query else ''}{query}"

    @property
    def label(self) -> str:
        """The address for a person: the server and the database, without the user."""
        return f"{self.host or 'PGHOST'}{'' if self.port is None else f':{self.port}'}/{self.database}"

    @property
    def connection(self) -> dict[str, Any]:
        """The arguments by which psycopg connects."""
        from psycopg import pq

        given = {"dbname": self.database, "user": self.user, "host": self.host, "port": self.port}
        kept: dict[str, Any] = {
            "connect_timeout": 10,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": AWAY_AFTER * 1000,
            "application_name": "runback",
        }
        if self.is_of_file and pq.version() >= REQUIRES_AUTH:
            kept["require_auth"] = "scram-sha-256,none"
        host = {} if self.host is None else {"host": self.host.strip("[]")}
        return {key: value for key, value in {**given, **host, **dict(self.options), **kept}.items() if value}
