"""Folders of small pictures, each with a pixel of its own."""

import io

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture():
    """Return the bytes of the n-th picture, noise that no other one has."""

    def encode(n, kind="PNG", size=(8, 8), **options):
        noise = np.random.default_rng(n).integers(0, 256, (*size, 3), dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(noise).save(stream, kind, **options)
        return stream.getvalue()

    return encode


@pytest.fixture
def fill(picture):
    """Write n pictures into a folder, numbered from `first`."""

    def write(folder, n=10, first=0):
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(first, first + n):
            (folder / f"{number}.png").write_bytes(picture(number))
        return folder

    return write


@pytest.fixture
def pets(tmp_path, fill):
    """Ten cats and ten dogs."""
    fill(tmp_path / "pets" / "cat", first=0)
    fill(tmp_path / "pets" / "dog", first=100)
    return tmp_path / "pets"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"
