import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from runback.errors import InputError
from runback.system.files.bounded_zip import opened


def directory(count: int, stated: int) -> bytes:
    """Return a zip of so many entries, of which its end states another number."""
    fields = (20, 3, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    entry = struct.pack("<4sBBHHHHHIIIHHHHHII", b"PK\x01\x02", *fields) + b"a"
    return entry * count + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, stated, stated, 47 * count, 0, 0)


@pytest.mark.parametrize("stated", [1, 50_000])
def test_entries_are_counted_before_they_are_read(stated):
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="has 50,000"), opened(directory(50_000, stated)):
            pass
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_as_many_entries_as_allowed_are_read():
    with opened(directory(9, 9), entries=9) as archive:
        assert len(archive.infolist()) == 9
    with pytest.raises(InputError, match="at most 8 files"), opened(directory(9, 9), entries=8):
        pass


def test_a_zip_within_the_zip_does_not_count(tmp_path: Path):
    file = tmp_path / "outer.zip"
    with zipfile.ZipFile(file, "w") as outer:
        outer.writestr("inner.zip", directory(100, 100))
        outer.writestr("end", bytes(2**18))
    with opened(file, entries=50) as archive:
        inner = archive.read("inner.zip")
    assert len(zipfile.ZipFile(io.BytesIO(inner)).infolist()) == 100
