"""Posts messages to a webhook, in the form that it takes: Slack's, ntfy's, or plain JSON."""

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from runback.sweeping.watching.webhook import Webhook

SECONDS = 5.0
"""Seconds that a server has for each of: the connection, what is sent, the answer."""


@dataclass(frozen=True)
class Message:
    """What is posted: a line or a few for a person, and the same for a program."""

    title: str
    text: str
    facts: Mapping[str, Any]


def post(webhook: Webhook, message: Message) -> str | None:
    """Post a message; return why that failed, without the address, None where it has not.

    Redirects are not followed: the message would go to somebody else.
    """
    try:
        with _opener().open(_request(webhook, message), timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        followed = ", a redirect, which is not followed" if 300 <= error.code < 400 else ""
        return f"it answers {error.code}{followed}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            return f"it does not answer within {SECONDS:g} s"
        return getattr(reason, "strerror", None) or type(reason).__name__


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirects)


def _request(webhook: Webhook, message: Message) -> urllib.request.Request:
    address, headers = _without_user(webhook.url)
    if webhook.form == "ntfy":
        body, kind = message.text.encode(), "text/plain; charset=utf-8"
        headers["Title"] = message.title.encode("ascii", "replace").decode()
    else:
        content = {"text": _for_slack(message)} if webhook.form == "slack" else dict(message.facts)
        body, kind = json.dumps(content).encode(), "application/json"
    headers |= {"Content-Type": kind, "User-Agent": "runback"}
    return urllib.request.Request(address, body, headers, method="POST")  # noqa: S310 - see `webhooks`


def _for_slack(message: Message) -> str:
    """Return text in which nothing mentions anybody or links anywhere (Slack's escapes, and no others)."""
    text = f"{message.title}\n{message.text}"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _without_user(url: str) -> tuple[str, dict[str, str]]:
    """Return an address without its user and password, and the header that says them."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    given = base64.b64encode(unquote(user).encode()).decode()
    return urlunsplit((parts.scheme, host, *parts[2:])), {"Authorization": f"Basic {given}"}
