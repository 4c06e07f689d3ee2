"""Downloads one archive into the cache: checked against its SHA-256, there whole or not at all."""

import hashlib
import logging
import sys
from pathlib import Path

import pooch

from runback.data.atomic import alone, partial, publish
from runback.errors import DataError

TIMEOUT_SECONDS = 30
"""How long a server may stay silent."""

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
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        timeout=TIMEOUT_SECONDS,
        headers={"Accept-Encoding": "identity"},  # the archive's own bytes, not unpacked on the way
    )
    try:
        return Path(pooch.retrieve(url, f"sha256:{sha256}", name, folder, downloader=downloader))
    except OSError as error:
        if error.errno is not None:  # writing failed; errors of the network carry no number
            raise
        raise DataError(f"cannot download {url} ({_reason(error)}); {instead}") from error
    except ValueError as error:
        raise DataError(f"{url}: {error}") from error


def _check(file: Path, sha256: str) -> None:
    with file.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != sha256:
        raise DataError(f"{file}: expected SHA-256 {sha256}; got {got}; delete the file to download it again")


def _reason(error: OSError) -> str:
    response = getattr(error, "response", None)
    return type(error).__name__ if response is None else f"HTTP {response.status_code}"
