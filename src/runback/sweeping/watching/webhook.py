"""The webhooks of a sweep: where messages go, in which form, about what.

Their addresses are secrets: who has one can post. They are read from the environment, are known to the
redactor from then on, and stand in no message here.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from runback.errors import InputError
from runback.system.secrecy import remember
from runback.system.secrecy.secret_values import is_random

FORMS = ("slack", "ntfy", "json")

EVENTS = ("end", "failures", "best")

KEY = "hydra.sweeper.notify"


@dataclass(frozen=True)
class Webhook:
    """A place that messages are posted to, and the events that it wants to know of."""

    url: str = field(repr=False)
    form: str
    on: tuple[str, ...]

    @property
    def host(self) -> str:
        """Its server, which is no secret."""
        return urlsplit(self.url).hostname or ""


def webhooks(settings: Any) -> list[Webhook]:
    """Return the webhooks of `hydra.sweeper.notify`: a mapping with url, on and form, or a list of such.

    Errors: InputError, which never shows an address.
    """
    if settings is None:
        return []
    given = settings if isinstance(settings, list) else [settings]
    return [_webhook(one) for one in given]


def _webhook(settings: Any) -> Webhook:
    expected = "{url: env:NAME, on: [end, failures, best]}"
    if not isinstance(settings, Mapping):
        raise InputError(f"{KEY} must be {expected}, or a list of such")
    settings = {"on" if key is True else str(key): value for key, value in settings.items()}  # YAML's `on`
    unknown = {*settings} - {"url", "on", "form"}
    if unknown:
        raise InputError(f"{KEY} has no {min(unknown)!r:.80}; expected {expected}")
    url = _address(settings.get("url"))
    on, form = settings.get("on", ["end"]), settings.get("form")
    events = [on] if isinstance(on, str) else on
    if not isinstance(events, list) or not events or not {*map(str, events)} <= {*EVENTS}:
        raise InputError(f"{KEY}.on must be a list of {', '.join(EVENTS)}; got {on!r:.80}")
    if form not in (None, *FORMS):
        raise InputError(f"{KEY}.form must be one of {', '.join(FORMS)}; got {form!r:.80}")
    return Webhook(url, form or _form(urlsplit(url).hostname or ""), tuple(map(str, events)))


def _address(named: Any) -> str:
    """Return the address in the environment variable that `env:NAME` names; it is a secret from then on."""
    match = re.fullmatch(r"env:(\w+)", named) if isinstance(named, str) else None
    if match is None:
        raise InputError(
            f"{KEY}.url must name the environment variable that holds the address, as env:NOTIFY_URL: "
            "whoever has the address can post, and configs are written"
        )
    url = os.environ.get(match[1], "").strip()
    if not url:
        raise InputError(f"{KEY}.url: the environment variable {match[1]} is not set")
    remember(url)
    try:
        parts = urlsplit(url)
        is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or not url.isascii() or not url.isprintable() or " " in url:
        raise InputError(f"{KEY}.url: the environment variable {match[1]} holds no http or https address")
    for part in parts.path.split("/"):
        if is_random(part):
            remember(part)
    return url


def _form(host: str) -> str:
    if host == "hooks.slack.com":
        return "slack"
    return "ntfy" if host.startswith("ntfy.") else "json"
