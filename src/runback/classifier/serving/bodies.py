"""Reads the bodies of requests, within a memory that all of them share."""

from dataclasses import dataclass

from starlette.requests import Request

from runback.classifier.serving.images import TooMany
from runback.errors import DataError

OWN = 2**20
"""Bytes of each body that are always there for it: small requests go on while large ones fill the rest."""

SHARED = 128 * 2**20
"""Bytes that the larger bodies have together for what is beyond that."""

DISCARDED = 128 * 2**20
"""Bytes of a refused body that are still read."""


class Busy(DataError):  # noqa: N818 - the word for it
    """The bodies of other requests fill the memory: it may go a second later."""


@dataclass
class Memory:
    """The memory that large bodies share; `free` bytes of it are not taken."""

    free: int = SHARED


class Body:
    """A request's body: `async with Body(...) as body: await body.read(most)`; its memory is free afterwards.

    What is not read of a body that is refused is thrown away as it comes: most clients look at an answer only
    once they have sent all.
    """

    def __init__(self, memory: Memory, request: Request) -> None:
        self._memory = memory
        self._request = request
        self._taken = 0
        self._read = bytearray()
        self._is_whole = False

    async def __aenter__(self) -> "Body":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self._memory.free += self._taken
        self._read = bytearray()
        if kind is not None and issubclass(kind, Exception) and not self._is_whole:
            await self._discard()

    async def read(self, most: int) -> bytearray:
        """Return the body. Raises TooMany and Busy: where its size is told, before anything is read."""
        self._take(_told(self._request), most)
        async for piece in self._request.stream():
            self._take(len(self._read) + len(piece), most)
            self._read += piece
        self._is_whole = True
        return self._read

    async def _discard(self) -> None:
        headers, left = self._request.headers, DISCARDED
        if "expect" in headers or len(headers.get("content-length", "")) > len(str(DISCARDED)):
            return
        async for piece in self._request.stream():
            left -= len(piece)
            if left < 0:
                return

    def _take(self, size: int, most: int) -> None:
        """Take what a body of a size needs more of the memory than it has."""
        if size > most:
            raise TooMany(f"expected a body of at most {most} bytes")
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
