import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from runback.classifier.data import image_cache
from runback.classifier.data.image_cache import Decoding, cached
from runback.errors import DataError

KEY = {"source": "test"}

STALLS_AFTER_ONE_BLOCK = """
import sys, time
from pathlib import Path
import numpy as np
from runback.classifier.data.image_cache import Decoding, cached

def blocks():
    yield np.ones((4, 2, 2, 1), np.uint8)
    print("writing", flush=True)
    time.sleep(60)

decoding = Decoding(blocks(), np.arange(8) % 2, ("a", "b"))
cached(Path(sys.argv[1]), "ones", {"source": "test"}, lambda: decoding)
"""

DISK_FULL_AT_100_KB = """
import resource, sys
from pathlib import Path
import numpy as np
from runback.classifier.data.image_cache import Decoding, cached
from runback.errors import DataError

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
blocks = (np.ones((1000, 8, 8, 1), np.uint8) for _ in range(4))
try:
    cached(Path(sys.argv[1]), "ones", {}, lambda: Decoding(blocks, np.arange(4000) % 2, ("a", "b")))
except DataError as error:
    print(error)
"""

SAYS_WHEN_IT_DECODES = """
import sys, time
from pathlib import Path
import numpy as np
from runback.classifier.data.image_cache import Decoding, cached

def decode():
    print("decoding")
    time.sleep(0.5)
    return Decoding(iter([np.ones((2000, 2, 2, 1), np.uint8)]), np.arange(2000) % 2, ("a", "b"))

print(cached(Path(sys.argv[1]), "ones", {}, decode).images.sum())
"""


def ones(n=8):
    return Decoding(iter(np.ones((2, n // 2, 2, 2, 1), np.uint8)), np.arange(n) % 2, ("a", "b"))


def visible(cache):
    return sorted(path.name for path in cache.iterdir() if not path.name.startswith("."))


def partials(cache):
    return sorted(path.name for path in cache.glob(".*.partial"))


def test_images_are_decoded_once_and_then_memory_mapped(cache):
    calls = []
    loaded = [cached(cache, "ones", KEY, lambda: calls.append(1) or ones()) for _ in range(3)]
    assert len(calls) == 1
    assert all(isinstance(dataset.images, np.memmap) for dataset in loaded)
    assert not loaded[0].images.flags.writeable
    np.testing.assert_array_equal(loaded[2].images, np.ones((8, 2, 2, 1)))
    assert loaded[2].labels.tolist() == [0, 1] * 4
    assert loaded[2].class_names == ("a", "b")


def test_another_key_is_another_entry(cache):
    cached(cache, "ones", KEY, ones)
    assert len(cached(cache, "ones", {"source": "other"}, lambda: ones(4))) == 4
    assert len(visible(cache)) == 2


def test_a_failed_decoding_leaves_nothing(cache):
    def breaks():
        yield np.ones((4, 2, 2, 1), np.uint8)
        raise DataError("broken image")

    with pytest.raises(DataError, match="broken image"):
        cached(cache, "ones", KEY, lambda: Decoding(breaks(), np.arange(8) % 2, ("a", "b")))
    assert visible(cache) == partials(cache) == []


def test_a_killed_decoding_leaves_nothing_that_looks_complete(cache):
    command = [sys.executable, "-c", STALLS_AFTER_ONE_BLOCK, str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        assert len(partials(cache)) == 1
        process.send_signal(signal.SIGKILL)
    assert visible(cache) == []
    assert len(cached(cache, "ones", KEY, ones)) == 8
    assert partials(cache) == []


def test_a_disk_that_fills_up_while_writing_is_reported_in_one_line_and_leaves_nothing(cache):
    command = [sys.executable, "-c", DISK_FULL_AT_100_KB, str(cache)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"no disk space left for the data cache {cache}: ")
    assert told.stdout.count("\n") == 1
    assert visible(cache) == partials(cache) == []


def test_a_disk_too_small_is_reported_before_anything_is_written(cache):
    """A memory map of one repeated pixel stands for more images than any disk holds."""
    huge = np.broadcast_to(np.uint8(1), (10**6, 10**6, 10**6, 1))
    labels = np.arange(10**6) % 2
    with pytest.raises(
        DataError, match=r"^no disk space for the decoded images in .*/data: 1,000,000,000,008 MB needed, "
    ):
        cached(cache, "huge", KEY, lambda: Decoding(iter([huge]), labels, ("a", "b")))
    assert visible(cache) == partials(cache) == []


def test_a_cache_that_cannot_be_written_is_reported_in_one_line(tmp_path):
    (tmp_path / "mlruns").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"^cannot write the data cache .*mlruns/data: Not a directory$"):
        cached(tmp_path / "mlruns" / "data", "ones", KEY, ones)


def test_an_entry_damaged_from_outside_is_named(cache):
    cached(cache, "ones", KEY, ones)
    (entry,) = (path for path in cache.iterdir() if path.is_dir())
    os.truncate(entry / "images.npy", 130)
    with pytest.raises(DataError, match=f"the cached images {entry} are damaged .* delete that folder"):
        cached(cache, "ones", KEY, ones)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
@pytest.mark.parametrize("count", [9, 2**45, 2**62, -8])
def test_an_entry_that_states_more_than_its_file_holds_is_named(cache, name, count):
    cached(cache, "ones", KEY, ones)
    (entry,) = (path for path in cache.iterdir() if path.is_dir())
    shape, dtype = ((count, 2, 2, 1), "|u1") if name == "images.npy" else ((count,), "<i8")
    with (entry / name).open("r+b") as file:  # what follows the header stays
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    with pytest.raises(DataError, match=f"the cached images {entry} are damaged .* delete that folder"):
        cached(cache, "ones", KEY, ones)


def test_fewer_images_than_labels_are_refused(cache):
    few = Decoding(iter([np.ones((3, 2, 2, 1), np.uint8)]), np.arange(8) % 2, ("a", "b"))
    with pytest.raises(DataError, match="expected 8 images; got 3"):
        cached(cache, "ones", KEY, lambda: few)
    assert visible(cache) == []


def test_labels_are_checked_before_an_image_is_decoded(cache):
    def never():
        raise RuntimeError("decoded")
        yield

    with pytest.raises(DataError, match="got 5 at row 1"):
        cached(cache, "ones", KEY, lambda: Decoding(never(), np.array([0, 5]), ("a", "b")))


def test_of_several_processes_at_once_one_decodes_and_all_get_the_same(cache):
    command = [sys.executable, "-c", SAYS_WHEN_IT_DECODES, str(cache)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = sorted(process.communicate()[0] for process in running)
    assert told == ["8000\n"] * 3 + ["decoding\n8000\n"]
    assert partials(cache) == []


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / ".ones.lock").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="cannot write the data cache"):
        cached(cache, "ones", KEY, ones)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "class_names.json"])
def test_a_pipe_in_the_place_of_cached_images_is_told_at_once(tmp_path, name):
    cached(tmp_path, "ones", KEY, ones)
    (file,) = tmp_path.glob(f"ones-*/{name}")
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DataError, match="are no ordinary files: delete that folder"):
        cached(tmp_path, "ones", KEY, ones)


def test_a_pipe_in_the_place_of_a_lock_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / ".ones.lock")
    with pytest.raises(DataError, match="it is no ordinary file"):
        cached(tmp_path, "ones", KEY, ones)


def test_progress_is_said_in_lines_where_there_is_no_terminal(cache, monkeypatch, capsys):
    monkeypatch.setattr(image_cache, "LINE_SECONDS", -1.0)
    cached(cache, "ones", KEY, ones)
    assert capsys.readouterr().err.splitlines() == [
        "ones: 4 of 8 images read",
        "ones: 8 of 8 images read",
    ]
