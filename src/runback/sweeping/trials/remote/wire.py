"""Frames between a coordinator and its workers: a line of JSON, and bytes behind it, over TLS.

A frame is 4 bytes with the length of what follows (big-endian), the JSON, a line feed, the bytes. Whoever
knows the sweep's address file (see `meeting`) is a worker of the sweep. What a worker sends is read as data;
what the coordinator sends a worker has pickles in it, as the pipe to a trial's process has.
"""

import asyncio
import contextlib
import json
import os
import queue
import ssl
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

LONGEST = 256 << 20
"""Bytes of a frame from a coordinator: a trial's call, with what it closes over."""

LONGEST_OF_WORKER = 1 << 20
"""Bytes of a frame from a worker."""

ALIVE = 5.0
"""Seconds after which a peer that has nothing to say says so."""

SILENCE = 30.0
"""Seconds without a word after which a peer is taken to be gone."""


@dataclass(frozen=True)
class Frame:
    """What a peer has said: facts, by name, and bytes."""

    facts: dict[str, Any]
    content: bytes = b""

    @property
    def kind(self) -> str:
        """What it is about."""
        return str(self.facts.get("kind", ""))


class Peer:
    """The other end of a connection. What it says is put into `inbox`, as (peer, frame); None: it is gone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        inbox: "Inbox",
        longest: int,
    ) -> None:
        self._loop, self._reader, self._writer, self._inbox = loop, reader, writer, inbox
        self._longest = longest

    def send(self, kind: str, content: bytes = b"", **facts: Any) -> None:
        """Say something, from any thread; what is said to a peer that is gone is lost."""
        text = json.dumps({"kind": kind, **facts}).encode() + b"\n"
        frame = (len(text) + len(content)).to_bytes(4, "big") + text + content
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._write, frame)

    def close(self) -> None:
        """Hang up, once what was said is sent."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._writer.close)

    async def receive(self) -> Frame:
        """Return what it says next. Errors: OSError, EOFError, ValueError for what is no frame."""
        async with asyncio.timeout(SILENCE):
            length = int.from_bytes(await self._reader.readexactly(4), "big")
            if length > self._longest:
                raise ValueError("a frame is too long")
            text, _, content = (await self._reader.readexactly(length)).partition(b"\n")
        facts = json.loads(text)
        if not isinstance(facts, dict):
            raise ValueError("a frame has no facts")  # noqa: TRY004 - it is data
        return Frame(facts, content)

    async def listen(self) -> None:
        """Put all that it says into the inbox, to its end."""
        alive = asyncio.create_task(self._stay_alive())
        try:
            while True:
                frame = await self.receive()
                if frame.kind != "alive":
                    self._inbox.put(self, frame)
        except (OSError, EOFError, ValueError, RecursionError):
            pass
        finally:
            alive.cancel()
            self._inbox.put(self, None)
            self._writer.close()

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(ALIVE)
            self.send("alive")

    def _write(self, frame: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame)


class Inbox:
    """What peers have said and nobody has read; its `descriptor` can be read while there is something."""

    def __init__(self) -> None:
        self._frames: queue.SimpleQueue[tuple[Peer, Frame | None]] = queue.SimpleQueue()
        self.descriptor, self._bell = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._bell, False)

    def put(self, peer: Peer, frame: Frame | None) -> None:
        """Add what a peer has said."""
        self._frames.put((peer, frame))
        with contextlib.suppress(OSError):  # it rings already, or is closed
            os.write(self._bell, b"!")

    def read(self) -> list[tuple[Peer, Frame | None]]:
        """Return all that is there; at once."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 1 << 16)
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._frames.get_nowait())
        return found

    def close(self) -> None:
        """Close the bell."""
        os.close(self.descriptor)
        os.close(self._bell)


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what `work` returns, or raise what it raises."""
        found: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return found.result()

    def begin(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let `work` go on by itself."""
        asyncio.run_coroutine_threadsafe(work, self.loop)

    def close(self) -> None:
        """End what still goes on, and the thread."""
        self.run(self._end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def client_context(certificate: str) -> ssl.SSLContext:
    """Return the settings of a connection to whoever has this certificate (PEM), and to nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # it is known by its certificate alone, at any of its addresses
    context.load_verify_locations(cadata=certificate)
    return context
