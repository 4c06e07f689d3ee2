"""Downloads one archive into the cache: checked against its SHA-256, there whole or not at all."""

import hashlib
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, BinaryIO

import pooch

from runback.classifier.data.cache_folder import alone, partial
from runback.errors import DataError
from runback.system.files.whole_file import publish

TIMEOUT_SECONDS = 30
"""Seconds that a server may stay silent."""

LARGEST = 200_000_000
"""Bytes; CIFAR-10's archive has 170,052,171."""

DEADLINE_SECONDS = 3600.0
"""Seconds that a download may take: 50 kB a second are enough."""

logger = logging.getLogger(__name__)


def archive(url: str, sha256: str, *, cache: Path, name: str, instead: str) -> Path:
    """Return the file `cache`/`name`, downloaded if it is not there yet, with this SHA-256.

    Of several processes one downloads and the others wait. A progress bar shows when stderr is a terminal.
    Raises DataError when the content is another one, or when the network fails; `instead` then tells what
    to do without a network.
    """
    file = cache / name
    with alone(cache, name):
        if file.exists():
            _check(file, sha256)
        else:
            with partial(cache, name) as folder:
                publish(_fetched(url, sha256, folder, name, instead), file)
    return file


def _fetched(url: str, sha256: str, folder: Path, name: str, instead: str) -> Path:
    pooch.get_logger().setLevel(logging.WARNING)  # it would name the temporary folder
    logger.info("downloading %s", url)
    responses: list[Any] = []
    downloader = pooch.HTTPDownloader(
        hooks={"response": lambda response, **_: responses.append(response)},
        progressbar=sys.stderr.isatty(),
        timeout=TIMEOUT_SECONDS,
        headers={"Accept-Encoding": "identity"},  # the archive's own bytes, not unpacked on the way
    )
    try:
        return _within(
            DEADLINE_SECONDS,
            url,
            lambda: pooch.retrieve(
                url,
                f"sha256:{sha256}",
                name,
                folder,
                downloader=lambda url, file, pooch: _download(downloader, responses, url, file, pooch),
            ),
        )
    except OSError as error:
        if error.errno is not None:  # writing failed; errors of the network carry no number
            raise
        raise DataError(f"cannot download {url} ({_reason(error)}); {instead}") from error
    except ValueError as error:
        raise DataError(f"{url}: {error}") from error


def _download(downloader: Callable[..., None], responses: list[Any], url: str, file: str, pooch: Any) -> None:
    with Path(file).open("wb") as stream:
        try:
            downloader(url, _BoundedDownload(stream, url), pooch)
        finally:
            for response in responses:
                response.close()


class _BoundedDownload:
    """A file to write that takes no more than `LARGEST` bytes."""

    def __init__(self, stream: BinaryIO, url: str) -> None:
        self._stream, self._url, self._room = stream, url, LARGEST
        self.flush = stream.flush

    def write(self, content: bytes) -> int:
        """Write; raises DataError where that is too much."""
        self._room -= len(content)
        if self._room < 0:
            raise DataError(f"{self._url}: expected at most {LARGEST:,} bytes; it sends more")
        return self._stream.write(content)


def _within(seconds: float, url: str, fetch: Callable[[], str]) -> Path:
    """Return what `fetch` returns, or raise what it raises; DataError when it takes longer.

    A server that sends a byte now and then is never silent for long. What still waits for it then ends
    with this process.
    """
    done: Future[str] = Future()

    def work() -> None:
        try:
            done.set_result(fetch())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return Path(done.result(seconds))
    except TimeoutError as error:
        if not done.done():
            raise DataError(f"cannot download {url}: it took more than {seconds:,.0f} s") from error
        raise


def _check(file: Path, sha256: str) -> None:
    with file.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != sha256:
        raise DataError(f"{file}: expected SHA-256 {sha256}; got {got}; delete the file to download it again")


def _reason(error: OSError) -> str:
    response = getattr(error, "response", None)
    return type(error).__name__ if response is None else f"HTTP {response.status_code}"
