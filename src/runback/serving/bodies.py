"""Reads the bodies of requests, within a memory that all of them share."""

from dataclasses import dataclass

from starlette.requests import Request

from runback.errors import DataError
from runback.serving.images import TooMany

OWN = 2**20
"""Bytes of each body that are always there for it: small requests go on while large ones fill the rest."""

SHARED = 128 * 2**20
"""Bytes that the larger bodies have together for what is beyond that."""


class Busy(DataError):  # noqa: N818 - the word for it
    """The bodies of other requests fill the memory: it may go a second later."""


@dataclass
class Memory:
    """The memory that large bodies share; `free` bytes of it are not taken."""

    free: int = SHARED


class Body:
    """A request's body: `with Body(...) as body: await body.read(request)`; its memory is free afterwards."""

    def __init__(self, memory: Memory, most: int) -> None:
        self._memory = memory
        self._most = most
        self._taken = 0

    def __enter__(self) -> "Body":
        return self

    def __exit__(self, *_error: object) -> None:
        self._memory.free += self._taken

    async def read(self, request: Request) -> bytearray:
        """Return the body. Raises TooMany and Busy: where its size is told, before anything is read."""
        self._take(_told(request))
        content = bytearray()
        async for piece in request.stream():
            self._take(len(content) + len(piece))
            content += piece
        return content

    def _take(self, size: int) -> None:
        """Take what a body of a size needs more of the memory than it has."""
        if size > self._most:
            raise TooMany(f"expected a body of at most {self._most} bytes")
        beyond = max(0, size - OWN - self._taken)
        if beyond > self._memory.free:
            raise Busy("larger requests than the server has memory for are under way: try again")
        self._memory.free -= beyond
        self._taken += beyond


def _told(request: Request) -> int:
    """Return the size that a request tells of its body, 0 for none. Raises DataError for no number."""
    told = request.headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit()):
        raise DataError("expected a whole number of bytes as Content-Length")
    return int(told[:20])
