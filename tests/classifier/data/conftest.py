"""Small real inputs: encoded images, a CIFAR-10 archive of the right layout, a server on loopback."""

import functools
import hashlib
import http.server
import io
import os
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "mlruns" / "data"


@pytest.fixture
def encoded():
    """Encode a plain image of one colour; `encoded((255, 0, 0), size=(4, 6))` is 4 high and 6 wide."""

    def encode(colour, size=(8, 8), kind="PNG"):
        pixels = np.full((*size, 3), colour, np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind, **({"quality": 95} if kind == "JPEG" else {}))
        return stream.getvalue()

    return encode


@pytest.fixture(scope="session")
def cifar_batches():
    """Six binary batches of 20 records each, by file name; labels run 0..9 twice."""
    generator = np.random.default_rng(0)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    records = {name: generator.integers(0, 256, (20, 3073), dtype=np.uint8) for name in names}
    for batch in records.values():
        batch[:, 0] = np.arange(20) % 10
    return {name: batch.tobytes() for name, batch in records.items()}


@pytest.fixture(scope="session")
def cifar_archive(cifar_batches, tmp_path_factory):
    """The same batches in a .tar.gz, laid out as the authors' archive is."""
    archive = tmp_path_factory.mktemp("served") / "cifar-10-binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in {"batches.meta.txt": b"airplane\n", **cifar_batches}.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


@pytest.fixture(scope="session")
def cifar_sha256(cifar_archive):
    return hashlib.sha256(cifar_archive.read_bytes()).hexdigest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    requests: list[str]  # the server's own list

    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path.startswith("/stalls/"):
            return self._half_of(self.path.removeprefix("/stalls"))
        return super().do_GET()

    def _half_of(self, path):
        content = Path(self.translate_path(path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.server.end.wait(60)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(cifar_archive):
    """Serves the archive's folder at `url` and lists the `requests`; what is under /stalls stops half-way."""
    handler = functools.partial(_Quiet, directory=str(cifar_archive.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.daemon_threads = True
        running.requests = []
        running.end = threading.Event()
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.end.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_cifar10_of_this_machine(request, monkeypatch):
    if "real_cifar10" not in request.fixturenames:
        monkeypatch.delenv("RUNBACK_CIFAR10", raising=False)


@pytest.fixture(scope="session")
def real_cifar10():
    """The folder of the real images, beside the project or named by $RUNBACK_CIFAR10."""
    beside = Path(__file__).parents[3].parent / "shared" / "cifar10"
    folder = Path(os.environ.get("RUNBACK_CIFAR10") or beside)
    if not (folder / "train.parquet").is_file():
        pytest.skip(f"no CIFAR-10 in {folder}; set RUNBACK_CIFAR10 to a folder with train.parquet")
    return folder
