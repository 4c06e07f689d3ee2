"""Keeps slow and idle clients from holding up others: uvicorn has a time limit for idle connections only.

A connection's client has a time for its headers, for its body and for taking an answer. A body is read a
piece at a time, and not in any number of small chunks: they cost far more to read than to send. Where there
are as many connections as there may be, the one that has kept the server waiting longest makes room for a new
one. Without uvicorn's and h11's own parts that this builds on, tests/serving/test_connections.py fails.
"""

import asyncio
import math
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST = 64
"""Connections at a time."""

HEADER_SECONDS = 10.0
"""Time for a request's headers, from when its connection was made or the answer before it was given."""

BODY_SECONDS = 30.0
"""Time for a request's body."""

ANSWER_SECONDS = 30.0
"""Time in which a client takes some more of its answer."""

IDLE_SECONDS = 5
"""Time that a connection is kept between two requests."""

PIECE = 2**14
"""Bytes of a body that are read at a time, before it is others' turn."""

FIRST_PIECE = 2**17
"""Bytes that are read at a time outside a body: more than h11 takes of headers.

Of what is left unread of them the system tells a client by a reset of its connection, and the answer is lost.
"""

SMALL_CHUNK = 64
"""Bytes below which a chunk of a body counts as small."""

MOST_SMALL_CHUNKS = 1000
"""Empty chunks, as it were, of a body: what small ones lack, less what large ones have over."""

_TOO_MANY_CHUNKS = "Expected a body in larger chunks."

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class _Parser(h11.Connection):
    """A parser of requests that takes no body in far too many small chunks."""

    lacking = 0
    """Bytes that the body's small chunks lack."""

    @property
    def has_too_many_chunks(self) -> bool:
        """Whether the body is one to refuse."""
        return self.lacking > SMALL_CHUNK * MOST_SMALL_CHUNKS

    def next_event(self) -> Any:
        """Return what was read next, as h11 does. Raises its RemoteProtocolError."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            self.lacking = 0
        elif isinstance(event, h11.Data):
            self.lacking = max(0, self.lacking + SMALL_CHUNK * event.chunk_start - len(event.data))
            if self.has_too_many_chunks:
                raise h11.RemoteProtocolError(_TOO_MANY_CHUNKS)
        return event


class Connection(H11Protocol, asyncio.BufferedProtocol):
    """A connection whose client has only so much time, and only so much of the server's."""

    conn: _Parser
    _timer: asyncio.TimerHandle | None = None
    _phase: Any = None
    _left = math.inf  # bytes of its answer that the client had not taken the last time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for a new connection, or turn it away where all the others are being answered."""
        self._waited_since = self.loop.time()
        self._piece = memoryview(bytearray(FIRST_PIECE))
        self.conn = _Parser(h11.SERVER)
        has_room = len(self.connections) < MOST or _make_room(self.connections)
        super().connection_made(transport)
        if has_room:
            self._mark()
        else:
            self.give_up(_TOO_MANY)

    def get_buffer(self, _sizehint: int) -> memoryview:  # type: ignore[override]
        """Return where the next piece goes, which is as long as it may be."""
        return self._piece[:PIECE] if self.conn.their_state is h11.SEND_BODY else self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """Take a piece."""
        self.data_received(bytes(self._piece[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Read on, with the time for what is read now."""
        if self in self.connections:  # or else it was given up, and closes
            super().data_received(data)
            self._mark()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request; whoever answers one hears no more of it, and no answer begins twice."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(_TOO_MANY_CHUNKS if self.conn.has_too_many_chunks else msg)
        else:
            self.give_up()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._mark()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take its answer."""
        super().pause_writing()
        self._left = math.inf
        self._mark()

    def resume_writing(self) -> None:
        """Go on, the client having taken its answer."""
        super().resume_writing()
        self._mark()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._limit(None)
        super().connection_lost(exc)

    @property
    def waits_for_its_client(self) -> bool:
        """Whether a request is not whole yet, or none has begun."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    @property
    def waited_since(self) -> float:
        """The loop's time at which what is waited for now began."""
        return self._waited_since

    def give_up(self, last_words: bytes = b"") -> None:
        """Close the connection; with an answer, where none has begun."""
        self.connections.discard(self)
        if last_words and (self.cycle is None or not self.cycle.response_started):
            self.transport.write(last_words)
            self.transport.close()
            self._limit(ANSWER_SECONDS)
        else:
            self.transport.abort()

    def _mark(self) -> None:
        """Give the client the time for what it is to send now; each further byte of it gives no more."""
        must_take = self.transport.is_closing() or self.flow.write_paused
        phase = must_take, self.conn.their_state, self.cycle
        if phase != self._phase:
            self._phase, self._waited_since = phase, self.loop.time()
            seconds = {h11.IDLE: HEADER_SECONDS, h11.SEND_BODY: BODY_SECONDS}
            self._limit(ANSWER_SECONDS if must_take else seconds.get(self.conn.their_state))

    def _limit(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._is_late)

    def _is_late(self) -> None:
        """Give the connection up, unless its client has taken some more of its answer."""
        left = self.transport.get_write_buffer_size()
        if 0 < left < self._left:
            self._left = left
            self._limit(ANSWER_SECONDS)
        else:
            self.give_up(b"" if left else _TOO_SLOW)


def _make_room(connections: set[Any]) -> bool:
    """Close the connection that has kept the server waiting for longest; tell whether there was one."""
    waiting = [one for one in connections if one.waits_for_its_client]
    if waiting:
        min(waiting, key=lambda one: one.waited_since).give_up()
    return bool(waiting)
