"""The web application: MLflow's scoring protocol, but its /invocations takes images and names classes."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from runback.classifier.serving.bodies import Body, Busy, Memory
from runback.classifier.serving.feedback import FeedbackFile, FeedbackFull, TooOften, image_hash
from runback.classifier.serving.image_classifier import Classifier
from runback.classifier.serving.images import TooMany, most_bytes, read_images
from runback.errors import DataError

AT_ONCE = 2
"""Requests that are worked on at a time, the rest waits: one is read while the other one is computed."""

HOSTS = ("localhost", "127.0.0.1")
"""Names of this machine that a client may use; a web page whose name points here has another."""


def make_app(classifier: Classifier, version: str, feedback: FeedbackFile | None = None) -> Starlette:
    """Return an application that answers `POST /invocations`, and what MLflow's clients ask beside it.

    These are /ping and /health, and /version: MLflow's. With `feedback`, `POST /feedback` takes an entry, and
    each answer has the SHA-256 that names its image. There is nothing else. Whatever is wrong with a
    request is told as `{"error_code": ..., "message": ...}`, in one line.
    """
    turn, memory = asyncio.Semaphore(AT_ONCE), Memory()

    async def invocations(request: Request) -> Response:
        content_type = request.headers.get("content-type", "")
        try:
            async with Body(memory, request) as body:
                _refuse_encoded(request)
                content = await body.read(most_bytes(content_type, classifier.shape))
                async with turn:
                    is_named = feedback is not None
                    return await run_in_threadpool(_answer, classifier, content, content_type, is_named)
        except asyncio.CancelledError:  # the server ends, and has waited for this request long enough
            return _problem("TEMPORARILY_UNAVAILABLE", "the server ends", 503)

    async def ping(_request: Request) -> Response:
        return Response("\n", media_type="application/json")

    async def answer_version(_request: Request) -> Response:
        return Response(version, media_type="application/json")

    app = Starlette(
        routes=[
            Route("/invocations", invocations, methods=["POST"]),
            *([] if feedback is None else [_feedback_route(feedback, memory)]),
            *(Route(path, ping) for path in ("/ping", "/health")),
            Route("/version", answer_version),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))],
        exception_handlers={
            DataError: _refuse,
            ClientDisconnect: _refuse,
            HTTPException: _tell,
            Exception: _fail,
        },
    )
    app.router.redirect_slashes = False
    return app


def _feedback_route(feedback: FeedbackFile, memory: Memory) -> Route:
    async def take_feedback(request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":  # a page of another site cannot send that unasked
            raise HTTPException(415, "expected Content-Type: application/json")
        try:
            async with Body(memory, request) as body:
                _refuse_encoded(request)
                content = await body.read(feedback.longest_body)
                return _json(await run_in_threadpool(feedback.add, content), 201)
        except asyncio.CancelledError:  # the server ends
            return _problem("TEMPORARILY_UNAVAILABLE", "the server ends", 503)

    return Route("/feedback", take_feedback, methods=["POST"])


def _refuse_encoded(request: Request) -> None:
    """Raise HTTPException for a body that is compressed: unpacked it may be a thousand times as large."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "expected a body as it is, without a Content-Encoding")


def _answer(classifier: Classifier, body: bytearray, content_type: str, is_named: bool) -> Response:
    images = read_images(body, content_type, classifier.shape)
    answers = classifier.answers(images)
    if is_named:
        answers = [
            {**answer, "sha256": image_hash(image)} for answer, image in zip(answers, images, strict=True)
        ]
    return _json({"predictions": answers})


async def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, FeedbackFull):
        return _problem("RESOURCE_EXHAUSTED", str(error), 507)
    if isinstance(error, TooOften):
        return _problem("RESOURCE_EXHAUSTED", str(error), 429, {"Retry-After": "60"})
    if isinstance(error, Busy):
        return _problem("TEMPORARILY_UNAVAILABLE", str(error), 503, {"Retry-After": "1"})
    return _problem("BAD_REQUEST", str(error), 413 if isinstance(error, TooMany) else 400)


async def _tell(_request: Request, error: Exception) -> Response:
    """Tell that there is no such page, or that it is not asked so."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = error.detail if isinstance(error, HTTPException) else ""
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return _problem(HTTPStatus(status).name, message, status, headers)


async def _fail(_request: Request, error: Exception) -> Response:
    """Tell the client that it failed; the traceback goes to the server's log."""
    return _problem("INTERNAL_ERROR", f"{type(error).__name__}: the server's log says more", 500)


def _problem(code: str, message: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return _json({"error_code": code, "message": message}, status, headers)


def _json(content: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
    return Response(text, status, headers, media_type="application/json")
