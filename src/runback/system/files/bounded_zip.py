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
"""Bytes at the end in which zipfile looks for the directory's place, in a read without a size."""

ENTRY = b"PK\x01\x02"
"""The beginning of each entry of a directory: zipfile does not go by the count beside it."""

ALWAYS = 64 * 2**20
"""Bytes that any zip may unpack to: texts are small, and packed well."""


@contextmanager
def opened(source: Path | bytes, *, entries: int = MAX_ENTRIES) -> Iterator[zipfile.ZipFile]:
    """Give a zip whose directory is small enough to be looked at, with at most so many entries.

    Raises InputError beyond that, and what zipfile raises for bytes that are no zip.
    """
    with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as stream:
        bounded = _Bounded(stream, entries)
        with zipfile.ZipFile(bounded) as archive:  # type: ignore[arg-type]
            bounded.is_open = True
            yield archive


def refuse_bomb(sizes: Sequence[int], packed: int, ratio: int, what: str) -> None:
    """Raise InputError where `packed` bytes state that they unpack to over `ratio` times as many."""
    stated, most = sum(sizes), max(ALWAYS, ratio * packed)
    if stated > most:
        raise InputError(
            f"{what} unpacks to {stated:,} bytes; expected at most {most:,} of {packed:,} packed"
        )


class _Bounded:
    """A stream of which no piece is read that is larger than a directory of so many entries may be.

    Until it `is_open`, when the directory is read, no piece has more entries either: each takes far more
    memory than in the file.
    """

    def __init__(self, stream: io.BufferedReader | io.BytesIO, entries: int) -> None:
        self.seek, self.tell, self._read, self._entries = stream.seek, stream.tell, stream.read, entries
        self._largest = MAX_DIRECTORY_BYTES * entries // MAX_ENTRIES
        self.is_open = False

    def read(self, size: int = -1) -> bytes:
        if size > self._largest:
            raise zipfile.BadZipFile(f"its directory has {size:,} bytes; expected at most {self._largest:,}")
        piece = self._read(END_BYTES if size < 0 else size)
        if not self.is_open and (count := piece.count(ENTRY)) > self._entries:
            raise InputError(f"a zip holds at most {self._entries:,} files; it has {count:,}")
        return piece

    def seekable(self) -> bool:
        return True
