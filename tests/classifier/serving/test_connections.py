"""A server of images of 224 x 224 pixels, with the application and connections of `runback serve`, attacked.

It computes nothing: what a network does is tested elsewhere. Ends of time are as short as the test needs.
"""

import contextlib
import http.client
import io
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import h11
import numpy as np
import psutil
import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from runback.classifier.serving.connections import MOST, MOST_SMALL_CHUNKS, SMALL_CHUNK, Connection

SERVER = """
import json, socket, sys
from types import SimpleNamespace
from runback.cli.commands import serve
from runback.classifier.serving import connections
from runback.classifier.serving.http_app import make_app

for name, value in json.loads(sys.argv[1]).items():
    setattr(connections, name, value)
answers = lambda images: ["x" * 2**24] if len(images) == 2 else [len(images)]
classifier = SimpleNamespace(shape=(224, 224, 3), answers=answers)
with serve._listening(0) as listener:
    print(listener.getsockname()[1], flush=True)
    serve._run(make_app(classifier, "3"), listener)
"""

SIZE = 224 * 224 * 3
NPY = {"Content-Type": "application/x-npy"}
SHORT = {"HEADER_SECONDS": 1.5, "BODY_SECONDS": 2, "ANSWER_SECONDS": 1.5, "IDLE_SECONDS": 1}


@dataclass(frozen=True)
class Served:
    process: psutil.Process
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def post(self, body, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/invocations", body, {**NPY, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def ping(self) -> float:
        """Ask as anybody does; return how many seconds it took."""
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/ping")
            assert connection.getresponse().status == 200
        assert self.post(npy(1))[0] == 200
        return time.monotonic() - begin

    @property
    def memory(self) -> int:
        return self.process.memory_info().rss


def npy(n: int) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((n, 224, 224, 3), np.uint8))
    return stream.getvalue()


@contextlib.contextmanager
def running(**limits: float) -> Iterator[Served]:
    words = [sys.executable, "-c", SERVER, json.dumps(limits)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Served(psutil.Process(process.pid), int(process.stdout.readline()))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def served():
    with running() as served:
        served.ping()
        yield served


@pytest.fixture(scope="module")
def hasty():
    """A server that gives its clients little time."""
    with running(**SHORT) as served:
        served.ping()
        yield served


@contextlib.contextmanager
def many(served: Served, n: int, sent: bytes) -> Iterator[list[socket.socket]]:
    """Open `n` connections that each begin a request."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(n):
            connection = stack.enter_context(served.connect())
            with contextlib.suppress(OSError):  # the server has given it up already
                connection.sendall(sent)
            opened.append(connection)
        yield opened


HALF = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX-Half: "
BODY = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-npy\r\nContent-Length: "


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", HALF, BODY + b"60000000\r\n\r\n\x93", b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"],
    ids=["nothing", "a letter", "half its headers", "half its body", "a request, and then nothing"],
)
def test_300_clients_that_send_no_more_hold_up_nobody(sent, served):
    with many(served, 300, sent):
        assert served.ping() < 5
        assert served.process.num_fds() < MOST + 40
        assert served.ping() < 5


def test_ten_large_bodies_at_once_fit_the_memory(served):
    body, before, most = npy(400), served.memory, 0  # 57 MiB each
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(served.post, body) for _ in range(10)]
        while not all(one.done() for one in asked):
            most = max(most, served.memory)
            time.sleep(0.01)
        answers = [one.result() for one in asked]
    statuses = [status for status, *_ in answers]
    assert set(statuses) <= {200, 503}
    assert 200 in statuses
    assert all(headers["Retry-After"] for status, headers, _ in answers if status == 503)
    assert all(len(told.splitlines()) == 1 for *_, told in answers)
    assert most - before < 250 * 2**20
    assert served.post(body)[0] == 200  # the memory is free again


def test_small_requests_are_answered_while_large_ones_fill_the_memory(served):
    with many(served, 4, BODY + b"60000000\r\n\r\n" + bytes(10)):
        assert served.ping() < 5
        status, headers, told = served.post(npy(400))
        assert (status, headers["Retry-After"]) == (503, "1")
        assert json.loads(told)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    wait_until(lambda: served.post(npy(400))[0] == 200)


def test_a_body_in_pieces_takes_no_more_memory_either(served):
    def pieces():
        yield from [bytes(2**20)] * 70

    before = served.memory
    status, _, told = served.post(pieces())
    assert (status, json.loads(told)["message"]) == (413, "expected a body of at most 67108864 bytes")
    assert served.memory - before < 150 * 2**20


@pytest.mark.parametrize("piece", [b"[],", b"[", b"0,", b" "])
def test_large_json_is_refused_quickly_while_others_are_answered(piece, served):
    slow = []
    for size, expected in ((60 * 10**6, 413), (15 * 2**20, 400)):
        body = b'{"inputs": [' + piece * (size // len(piece)) + b"]}"
        begin = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(served.post, body, **{"Content-Type": "application/json"})
            slow.append(served.ping())
            status, _, told = asked.result()
        assert status == expected
        assert len(told.splitlines()) == 1
        assert time.monotonic() - begin < 10
    assert max(slow) < 5


def test_a_header_that_comes_a_byte_at_a_time_ends(hasty):
    with hasty.connect() as connection:
        assert trickle(connection, b"GET /ping HTTP/1.1\r\nHost: localhost\r\nX: ") < 5


def test_a_body_that_comes_a_byte_at_a_time_ends(hasty):
    for told in (b"1000\r\n\r\n", b"1000\r\nExpect: 100-continue\r\n\r\n"):
        with hasty.connect() as connection:
            assert trickle(connection, BODY + told) < 6
    with hasty.connect() as connection:
        assert trickle(connection, CHUNKED, b"1\r\n0\r\n") < 6


CHUNKED = BODY.replace(b"Content-Length: ", b"Transfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("size", [1, 64], ids=["tiny", "small"])
def test_a_client_that_floods_the_server_with_small_chunks_holds_up_nobody(size, served):
    chunks = (b"%x\r\n" % size + bytes(size) + b"\r\n") * (2**18 // size)
    is_over = threading.Event()

    def flood() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError), served.connect() as connection:
                connection.sendall(CHUNKED)
                while not is_over.is_set():
                    connection.sendall(chunks)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(flood)
        try:
            time.sleep(0.5)
            assert max(served.ping() for _ in range(3)) < 2
        finally:
            is_over.set()


@pytest.mark.parametrize("size", [1, 32])
def test_a_body_in_far_too_many_small_chunks_is_refused_in_one_line(size, served):
    count = SMALL_CHUNK * MOST_SMALL_CHUNKS // (SMALL_CHUNK - size) + 1
    with served.connect() as connection:
        connection.sendall(CHUNKED + (b"%x\r\n" % size + bytes(size) + b"\r\n") * count)
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.status == 400
            [line] = answer.read().decode().splitlines()
            assert "chunks" in line


def test_a_body_in_chunks_of_a_reasonable_size_or_number_is_answered(served):
    body = npy(1)
    for size, first in ((64, 0), (2000, 1000)):
        pieces = [body[i : i + 1] for i in range(first)]
        pieces += [body[i : i + size] for i in range(first, len(body), size)]
        assert served.post(iter(pieces))[0] == 200


def trickle(connection: socket.socket, begin: bytes, more: bytes = b"x") -> float:
    """Send a piece every 0.2 s; return after how many seconds the server closed the connection."""
    started = time.monotonic()
    connection.sendall(begin)
    connection.settimeout(0.2)
    received = b""
    while time.monotonic() - started < 30:
        try:
            connection.sendall(more)
            received += (said := connection.recv(1000))
        except TimeoutError:
            continue
        except OSError:
            break
        if not said:
            break
    assert received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")[:12] in (b"", b"HTTP/1.1 408"), received
    return time.monotonic() - started


def test_a_client_that_keeps_to_its_time_may_be_slow_and_come_again(hasty):
    request = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with hasty.connect() as connection:
        for _ in range(5):
            for i in range(0, len(request), 10):
                connection.sendall(request[i : i + 10])
                time.sleep(0.1)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_takes_no_answer_is_given_up_and_a_slow_one_is_not(hasty):
    body = npy(2)  # its answer has 16 MiB, more than the system keeps for a client
    with hasty.connect() as idle, hasty.connect() as slow:
        for connection in (idle, slow):
            connection.sendall(BODY + b"%d\r\n\r\n" % len(body) + body)
        assert received(slow, pause=0.1) > 2**24
        assert received(idle, pause=0) < 2**24


def received(connection: socket.socket, pause: float) -> int:
    """Read to the end, with pauses; return how many bytes there were."""
    total = 0
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(2**19, socket.MSG_WAITALL):
            total += len(piece)
            time.sleep(pause)
    return total


MALFORMED = {
    "Content-Length: x": 400,
    "Content-Length: -1": 400,
    "Content-Length: 1.5": 400,
    "Content-Length: 1e3": 400,
    "Content-Length: 0x10": 400,
    "Content-Length: ": 400,
    "Content-Length: 5\nContent-Length: 6": 400,
    "Content-Length: 99999999999999999999": 413,
    "Content-Length: 999999999999999999999999": 400,
    "Transfer-Encoding: gzip": 400,
    "Transfer-Encoding: chunked\n\nzz\r\n": 400,
    "Content-Length: 3\nContent-Encoding: gzip\n\nabc": 415,
    "Content-Length: 3\nContent-Encoding: br, identity\n\nabc": 415,
    "Content-Length: 3\n\nabc": 400,
    "Content-Length: 0": 400,
    f"X: {'x' * 70_000}": 400,
    "no header": 400,
}


@pytest.mark.parametrize("headers", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_requests_are_told_so_in_one_line(headers, served):
    head, _, body = headers.partition("\n\n")
    head = f"POST /invocations HTTP/1.1\nHost: localhost\nContent-Type: application/x-npy\n{head}\n\n"
    with served.connect() as connection:
        connection.sendall((head.replace("\n", "\r\n") + body).encode())
        with http.client.HTTPResponse(connection) as answer:
            answer.begin()
            assert answer.status == MALFORMED[headers]
            assert len(answer.read().decode().splitlines()) == 1


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/docs",
            "/docs/oauth2-redirect",
            "/redoc",
            "/openapi.json",
            "/ping/",
            "//ping",
            "/invocations/",
        ),
        *("/metrics", "/version/../docs", "/%64ocs", "/PING", "/static"),
    ],
)
def test_there_are_four_paths_only(path, served):
    for method in ("GET", "POST", "OPTIONS"):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            assert answer.status == 404
            assert json.loads(answer.read())["error_code"] == "NOT_FOUND"


def test_a_path_that_is_asked_otherwise_tells_so(served):
    for method, path in (("GET", "/invocations"), ("POST", "/ping"), ("DELETE", "/version")):
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path)
            answer = connection.getresponse()
            assert (answer.status, json.loads(answer.read())["error_code"]) == (405, "METHOD_NOT_ALLOWED")


def test_many_clients_at_the_same_time_are_all_answered(served):
    with ThreadPoolExecutor(48) as pool:
        assert max(pool.map(lambda _: served.ping(), range(200))) < 20


def test_uvicorn_has_what_the_limits_build_on():
    """A canary: without these a connection's times are not kept."""
    for name in (
        "connection_made",
        "data_received",
        "send_400_response",
        "on_response_complete",
        "pause_writing",
        "connection_lost",
    ):
        assert getattr(H11Protocol, name) is not getattr(Connection, name)
    connection = h11.Connection(h11.SERVER)
    assert connection.their_state is h11.IDLE
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1")
    connection.next_event()
    assert connection.their_state is h11.SEND_BODY


def wait_until(holds) -> None:
    deadline = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < deadline
        threading.Event().wait(0.2)
