"""Lets nobody through to a server's pages who does not know its token: every user can reach a loopback port.

As with Jupyter, the token is in the address that the command prints. Who opens it gets a cookie, and is sent
on to the address without the token. Programs send `Authorization: Bearer TOKEN`, as MLflow's clients do with
`MLFLOW_TRACKING_TOKEN`.
"""

import hmac
from collections.abc import Iterable
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

QUERY = "token"
"""The part of the address's query that the token is in."""

REFUSED = "expected the token of this server: open the address that `runback ui` printed when it started"

FOREIGN = "a page of another address asks this server: open the address that `runback ui` printed yourself"

ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
"""MLflow's assistant, which runs commands as the user who started the server."""

NO_ASSISTANT = "a server without a token has no assistant, which runs commands: start it without --no-token"


class Gate:
    """An application that passes on the requests of those who know `token`, and answers the rest with 403."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope)(scope, receive, _without_referrer(send))
        elif scope["type"] == "websocket":  # MLflow has none
            await send({"type": "websocket.close", "code": 1008})

    def _answer(self, scope: Scope) -> ASGIApp:
        headers, query = Headers(scope=scope), _query(scope)
        if scope["method"] == "GET" and self._is_known(said for name, said in query if name == QUERY):
            return self._welcome(scope, headers, query)
        if self._is_known(_bearers(headers)):
            return self.app
        if not self._is_known(_cookies(headers, _cookie_name(scope))):
            return _refusal(headers, scope["path"])
        return _plain(FOREIGN) if _is_foreign(headers, scope["method"]) else self.app

    def _is_known(self, offered: Iterable[str]) -> bool:
        """Tell whether one of them is the token, in a time that does not tell how much of it is right."""
        matches = [hmac.compare_digest(one.encode("utf-8", "replace"), self.token) for one in offered]
        return any(matches)

    def _welcome(self, scope: Scope, headers: Headers, query: list[tuple[str, str]]) -> Response:
        """Send a browser on to the same page without the token, which the cookie is there for from now on."""
        rest = urlencode([(name, said) for name, said in query if name != QUERY])
        page = "/" + quote(scope["path"].lstrip("/\\"))  # `//` begins an address of another host
        to = {"Location": f"{page}?{rest}" if rest else page, "Cache-Control": "no-store"}
        answer = Response(status_code=303, headers=to)
        name = _cookie_name(scope)
        answer.set_cookie(name, self.token.decode(), path="/", httponly=True, samesite="strict")
        return answer


class NoAssistant:
    """An application without MLflow's assistant, for a server that anybody on the machine may ask."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_assistant = scope["type"] == "http" and scope["path"].startswith(ASSISTANT)
        await (_plain(NO_ASSISTANT) if is_assistant else self.app)(scope, receive, send)


def _cookie_name(scope: Scope) -> str:
    """Return the cookie's name, which holds the port: browsers send a cookie to all ports of a host."""
    return f"runback-{scope['server'][1]}"


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    except ValueError:  # more fields than it takes
        return []


def _bearers(headers: Headers) -> list[str]:
    offered = [value.partition(" ") for value in headers.getlist("authorization")]
    return [said.strip() for scheme, _, said in offered if scheme.lower() == "bearer"]


def _cookies(headers: Headers, name: str) -> list[str]:
    """Return the values of all cookies of a name: a server on another port can have set one as well."""
    pairs = [pair.strip().partition("=") for line in headers.getlist("cookie") for pair in line.split(";")]
    return [value for key, _, value in pairs if key == name]


def _is_foreign(headers: Headers, method: str) -> bool:
    """Tell whether a page of another address sent the browser here, other than by a link.

    A server of somebody else on another port of this machine is the same site to a browser, so that its
    pages' requests come with the cookie.
    """
    if (origin := headers.get("origin")) is not None:
        return origin != f"http://{headers.get('host')}"
    is_elsewhere = headers.get("sec-fetch-site") in ("cross-site", "same-site")
    return is_elsewhere and not _is_link(headers, method)


def _is_link(headers: Headers, method: str) -> bool:
    return headers.get("sec-fetch-mode") == "navigate" and method in ("GET", "HEAD")


def _refusal(headers: Headers, path: str) -> Response:
    """Return what is answered to who has neither token nor cookie.

    A browser that came here from a page of another site, as from the file that the command opens, keeps the
    cookie back until a page of this server sends it on.
    """
    answer = _plain(REFUSED)
    if path == "/" and headers.get("sec-fetch-site") == "cross-site" and _is_link(headers, "GET"):
        answer.headers["Refresh"] = "0; url=/?#/experiments"
    return answer


def _plain(line: str) -> Response:
    return PlainTextResponse(line + "\n", 403, headers={"Cache-Control": "no-store"})


def _without_referrer(send: Send) -> Send:
    """Return a `send` that has browsers tell no other server the address that they come from."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"referrer-policy", b"no-referrer")]
        await send(message)

    return sent
