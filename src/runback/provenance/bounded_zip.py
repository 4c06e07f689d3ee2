"""Opens a zip that anybody may have made: limits its directory, its entries and its unpacked size."""

import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runback.errors import InputError

MAX_DIRECTORY_BYTES = 6 * 2**20
"""The zip's directory, which zipfile reads at once: room for MAX_ENTRIES long names."""

MAX_ENTRIES = 10_000
"""Files in a zip; some 50 make a bundle."""

MAX_TREE_ENTRIES = 100_000
"""Files in a zip of code, whose directory may be as many times larger."""

END_BYTES = 2**17
"""As many as zipfile looks for the directory's place in, at the end, without saying how many it wants."""

ALWAYS = 64 * 2**20
"""Bytes that any zip may unpack to: texts are small, and packed well."""


@contextmanager
def opened(source: Path | bytes, *, entries: int = MAX_ENTRIES) -> Iterator[zipfile.ZipFile]:
    """Give a zip whose directory is small enough to be looked at, with at most so many entries.

    Raises InputError beyond that, and what zipfile raises for bytes that are no zip.
    """
    directory = MAX_DIRECTORY_BYTES * entries // MAX_ENTRIES
    with (
        source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream,
        zipfile.ZipFile(_Bounded(stream, directory)) as archive,  # type: ignore[arg-type]
    ):
        if len(archive.infolist()) > entries:
            raise InputError(f"a zip holds at most {entries:,} files; it has {len(archive.infolist()):,}")
        yield archive


def refuse_bomb(sizes: Sequence[int], packed: int, ratio: int, what: str) -> None:
    """Raise InputError where `packed` bytes state that they unpack to over `ratio` times as many."""
    stated, most = sum(sizes), max(ALWAYS, ratio * packed)
    if stated > most:
        raise InputError(
            f"{what} unpacks to {stated:,} bytes; expected at most {most:,} of {packed:,} packed"
        )


class _Bounded:
    """A stream of which no piece is read that is larger than a directory may be."""

    def __init__(self, stream: io.BufferedReader | io.BytesIO, largest: int) -> None:
        self.seek, self.tell, self._read, self._largest = stream.seek, stream.tell, stream.read, largest

    def read(self, size: int = -1) -> bytes:
        if size > self._largest:
            raise zipfile.BadZipFile(f"its directory has {size:,} bytes; expected at most {self._largest:,}")
        return self._read(END_BYTES if size < 0 else size)

    def seekable(self) -> bool:
        return True
