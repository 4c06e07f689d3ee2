"""The web application: MLflow's scoring server, but its /invocations takes images and names classes."""

import asyncio
import json
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from runback.errors import DataError
from runback.serving.classifier import Classifier
from runback.serving.images import TooMany, read_images

MAX_BYTES = 64 * 2**20
"""Bytes of a request's body."""

AT_ONCE = 2
"""Requests that are worked on at a time, the rest waits: one is read while the other one is computed."""

HOSTS = ("localhost", "127.0.0.1")
"""What a client may call this machine; a page on the web that has its own name point here does not."""


def make_app(classifier: Classifier, scoring_server: ASGIApp) -> Starlette:
    """Return an application that answers `POST /invocations` itself, and the rest as `scoring_server` does.

    Whatever is wrong with a request is told as `{"error_code": ..., "message": ...}`, in one line.
    """
    turn = asyncio.Semaphore(AT_ONCE)

    async def invocations(request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        try:
            body = await _body(request)
            async with turn:
                return await run_in_threadpool(_answer, classifier, body, content_type)
        except asyncio.CancelledError:  # the server ends, and has waited for this request long enough
            return _problem("TEMPORARILY_UNAVAILABLE", "the server ends", 503)

    return Starlette(
        routes=[Route("/invocations", invocations, methods=["POST"]), Mount("/", scoring_server)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))],
        exception_handlers={DataError: _refuse, ClientDisconnect: _refuse, Exception: _fail},
    )


async def _body(request: Request) -> bytes:
    """Return a request's body. Raises TooMany, where the size is told before anything is read."""
    if int(request.headers.get("content-length", 0)) > MAX_BYTES:
        raise TooMany(f"expected a body of at most {MAX_BYTES} bytes")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BYTES:
            raise TooMany(f"expected a body of at most {MAX_BYTES} bytes")
    return bytes(body)


def _answer(classifier: Classifier, body: bytes, content_type: str) -> Response:
    images = read_images(body, content_type, classifier.shape)
    return _json({"predictions": classifier.answers(images)})


async def _refuse(_request: Request, error: Exception) -> Response:
    return _problem("BAD_REQUEST", str(error), 413 if isinstance(error, TooMany) else 400)


async def _fail(_request: Request, error: Exception) -> Response:
    """Tell the client that it failed; the traceback goes to the server's log."""
    return _problem("INTERNAL_ERROR", f"{type(error).__name__}: the server's log says more", 500)


def _problem(code: str, message: str, status: int) -> Response:
    return _json({"error_code": code, "message": message}, status)


def _json(content: dict[str, Any], status: int = 200) -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
    return Response(text, status, media_type="application/json")
