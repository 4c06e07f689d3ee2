import hashlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from runback.classifier.data import download
from runback.errors import DataError

NAME = "cifar-10-binary.tar.gz"

DOWNLOADS = """
import sys
from pathlib import Path
from runback.classifier.data import download
download.archive(sys.argv[1], sys.argv[2], cache=Path(sys.argv[3]), name=sys.argv[4], instead="")
"""


def fetch(url, sha256, cache):
    return download.archive(url, sha256, cache=cache, name=NAME, instead="do this instead")


def test_a_download_is_checked_kept_and_not_repeated(server, cifar_archive, cifar_sha256, cache):
    for _ in range(2):
        file = fetch(f"{server.url}/{NAME}", cifar_sha256, cache)
    assert file == cache / NAME
    assert file.read_bytes() == cifar_archive.read_bytes()
    assert server.requests == [f"/{NAME}"]


def test_a_killed_download_leaves_nothing_that_looks_complete(server, cifar_archive, cifar_sha256, cache):
    url = f"{server.url}/stalls/{NAME}"
    with subprocess.Popen([sys.executable, "-c", DOWNLOADS, url, cifar_sha256, str(cache), NAME]) as process:
        half = cifar_archive.stat().st_size // 2
        deadline = time.monotonic() + 600
        while sum(file.stat().st_size for file in cache.glob(".*.partial/*")) < half // 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (cache / NAME).exists()
    assert len(list(cache.glob(".*.partial"))) == 1
    assert fetch(f"{server.url}/{NAME}", cifar_sha256, cache).read_bytes() == cifar_archive.read_bytes()
    assert list(cache.glob(".*.partial")) == []


def test_a_download_cut_short_by_the_server_is_an_error(server, cifar_sha256, cache):
    server.end.set()  # the handler then closes the connection after the first half
    with pytest.raises(DataError, match=r"cannot download .*; do this instead$"):
        fetch(f"{server.url}/stalls/{NAME}", cifar_sha256, cache)
    assert [path.name for path in cache.iterdir()] == [f".{NAME}.lock"]


def test_other_content_names_the_hash_expected_and_got(server, cifar_sha256, cache):
    expected = "0" * 64
    with pytest.raises(DataError, match=f"expected sha256:{expected} but got {cifar_sha256}"):
        fetch(f"{server.url}/{NAME}", expected, cache)
    assert not (cache / NAME).exists()


def test_a_file_in_the_cache_with_other_content_is_named(server, cifar_sha256, cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"rotten")
    got = hashlib.sha256(b"rotten").hexdigest()
    with pytest.raises(
        DataError, match=f"{NAME}: expected SHA-256 {cifar_sha256}; got {got}; delete the file"
    ):
        fetch(f"{server.url}/{NAME}", cifar_sha256, cache)


def test_no_network_is_one_line_that_says_what_to_do_instead(cifar_sha256, cache):
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/{NAME}"
        with pytest.raises(DataError) as told:
            fetch(url, cifar_sha256, cache)
    assert str(told.value) == f"cannot download {url} (ConnectionError); do this instead"


def test_a_missing_page_tells_the_servers_answer(server, cifar_sha256, cache):
    with pytest.raises(DataError, match=r"\(HTTP 404\); do this instead"):
        fetch(f"{server.url}/elsewhere", cifar_sha256, cache)


def test_of_several_processes_at_once_one_downloads(server, cifar_sha256, cache):
    command = [sys.executable, "-c", DOWNLOADS, f"{server.url}/{NAME}", cifar_sha256, str(cache), NAME]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert server.requests == [f"/{NAME}"]


def test_a_download_that_does_not_end_is_stopped(server, cifar_archive, cifar_sha256, cache, monkeypatch):
    monkeypatch.setattr(download, "LARGEST", cifar_archive.stat().st_size - 1)
    with pytest.raises(DataError, match=r"expected at most [\d,]+ bytes; it sends more"):
        fetch(f"{server.url}/{NAME}", cifar_sha256, cache)
    assert [path.name for path in cache.iterdir()] == [f".{NAME}.lock"]


def test_a_download_that_takes_too_long_is_stopped(server, cifar_sha256, cache, monkeypatch):
    monkeypatch.setattr(download, "DEADLINE_SECONDS", 0.5)
    with pytest.raises(DataError, match=r"cannot download .*: it took more than"):
        fetch(f"{server.url}/stalls/{NAME}", cifar_sha256, cache)
    assert [path.name for path in cache.iterdir()] == [f".{NAME}.lock"]
