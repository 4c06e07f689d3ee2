import hashlib
import os
import resource
import stat
import tracemalloc
import zipfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from runback.errors import InputError
from runback.provenance.bundle.bundle_file import inspect_bundle, open_bundle, verify, write_bundle

RUN = {"id": "a1b2c3", "name": "first", "status": "FINISHED", "metrics": {"val_accuracy": 0.91}}
FILES = {
    "config.yaml": b"epochs: 3\n" * 50,
    "model.keras": bytes(range(256)) * 4,
    "record/record.json": b'{"format": "runback-record-1"}\n',
    "record/empty.patch": b"",
}
MEBIBYTE = 2**20


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "run.zip"
    write_bundle(path, RUN, FILES)
    return path


@pytest.fixture
def large(tmp_path):
    """A file of 50 MiB that deflate cannot make smaller."""
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(MEBIBYTE) * 50)
    return path


@contextmanager
def peak_memory():
    """Measures the most that the block holds at once, in bytes."""
    tracemalloc.start()
    peak = []
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def test_what_was_written_is_read(bundle):
    opened = open_bundle(bundle)
    assert opened.run == RUN
    assert opened.names == tuple(sorted(FILES))
    assert {name: opened.read(name) for name in opened.names} == FILES


def test_any_zip_program_reads_it_and_the_manifest_comes_first(bundle):
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", *sorted(FILES)]
        assert archive.read("config.yaml") == FILES["config.yaml"]


def test_a_fresh_bundle_has_no_problems_and_tells_what_was_checked(bundle):
    assert verify(bundle) == []
    found = inspect_bundle(bundle)
    assert (len(found.files), found.total_bytes) == (4, sum(map(len, FILES.values())))
    assert found.run == RUN


def test_the_fingerprint_is_the_sum_of_the_manifest(tmp_path):
    path = tmp_path / "run.zip"
    fingerprint = write_bundle(path, RUN, FILES)
    with zipfile.ZipFile(path) as archive:
        assert fingerprint == hashlib.sha256(archive.read("manifest.json")).hexdigest()
    assert fingerprint == open_bundle(path).fingerprint == inspect_bundle(path).fingerprint


@pytest.mark.parametrize(
    ("run", "files"),
    [(RUN | {"name": "other"}, FILES), (RUN, FILES | {"config.yaml": b"epochs: 4\n"}), (RUN, {})],
)
def test_another_content_has_another_fingerprint(tmp_path, run, files):
    given = write_bundle(tmp_path / "a.zip", RUN, FILES)
    assert write_bundle(tmp_path / "b.zip", run, files) != given


def test_the_same_input_gives_the_same_bytes(tmp_path):
    sources = {}
    for name, content in reversed(FILES.items()):
        sources[name] = tmp_path / name.replace("/", "-")
        sources[name].write_bytes(content)
        os.utime(sources[name], (1, 1))
        sources[name].chmod(0o700)
    write_bundle(tmp_path / "a.zip", RUN, FILES)
    write_bundle(tmp_path / "b.zip", dict(reversed(RUN.items())), sources)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_text_is_compressed_and_a_model_is_stored(bundle):
    with zipfile.ZipFile(bundle) as archive:
        kinds = {info.filename: info.compress_type for info in archive.infolist()}
        modes = {stat.filemode(info.external_attr >> 16) for info in archive.infolist()}
    assert kinds["config.yaml"] == kinds["manifest.json"] == zipfile.ZIP_DEFLATED
    assert kinds["model.keras"] == zipfile.ZIP_STORED
    assert modes == {"-rw-r--r--"}


def test_an_existing_file_is_kept_unless_asked(bundle):
    before = bundle.read_bytes()
    with pytest.raises(InputError, match=r"run\.zip exists already"):
        write_bundle(bundle, RUN, {})
    assert bundle.read_bytes() == before
    write_bundle(bundle, RUN, {}, overwrite=True)
    assert open_bundle(bundle).names == ()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_and_a_missing_folder_are_refused(tmp_path, overwrite):
    with pytest.raises(InputError, match="is a folder"):
        write_bundle(tmp_path, RUN, FILES, overwrite=overwrite)
    with pytest.raises(InputError, match="there is no folder"):
        write_bundle(tmp_path / "missing" / "run.zip", RUN, FILES, overwrite=overwrite)


def test_a_missing_source_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError, match=r"model\.keras: there is no file .*gone"):
        write_bundle(tmp_path / "run.zip", RUN, FILES | {"model.keras": tmp_path / "gone"})
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_cannot_be_read_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError, match=r"model\.keras: /proc/self/mem cannot be read: Input/output error"):
        write_bundle(tmp_path / "run.zip", RUN, FILES | {"model.keras": Path("/proc/self/mem")})
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_changes_meanwhile_leaves_the_old_bundle(bundle):
    before = bundle.read_bytes()
    always_another = Path("/proc/sys/kernel/random/uuid")
    with pytest.raises(InputError, match=r"model\.keras changed while it was exported"):
        write_bundle(bundle, RUN, FILES | {"model.keras": always_another}, overwrite=True)
    assert bundle.read_bytes() == before
    assert list(bundle.parent.iterdir()) == [bundle]


def test_a_disk_without_room_leaves_nothing(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"run\.zip cannot be written: File too large"):
            write_bundle(tmp_path / "run.zip", RUN, {"model.keras": os.urandom(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_files_too_large_together_are_refused_before_they_are_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(2**32)
    with pytest.raises(InputError, match="at most 4294967296 bytes; the files have 4294967297"):
        write_bundle(tmp_path / "run.zip", RUN, {"a.zip": tmp_path / "sparse", "b.zip": b"1"})


@pytest.mark.parametrize("name", ["../evil", "/evil", "a\\b", "manifest.json", "a/", ""])
def test_a_name_that_could_not_be_read_back_is_not_written(tmp_path, name):
    with pytest.raises(InputError, match=r"^manifest\.json: "):
        write_bundle(tmp_path / "run.zip", RUN, {name: b""})
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_extracted_with_its_folders(bundle, tmp_path):
    target = open_bundle(bundle).extract("record/record.json", tmp_path / "out")
    assert target == tmp_path / "out" / "record" / "record.json"
    assert target.read_bytes() == FILES["record/record.json"]
    assert list(target.parent.iterdir()) == [target]


def test_extracting_replaces_nothing_and_follows_no_link(bundle, tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (out / "record").symlink_to(elsewhere)
    (out / "config.yaml").symlink_to(elsewhere / "config.yaml")
    opened = open_bundle(bundle)
    with pytest.raises(InputError, match="lies outside"):
        opened.extract("record/record.json", out)
    with pytest.raises(InputError, match="exists already"):
        opened.extract("config.yaml", out)
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_told(bundle, tmp_path):
    (tmp_path / "record").write_text("")
    with pytest.raises(InputError, match="record cannot be made"):
        open_bundle(bundle).extract("record/record.json", tmp_path)


def test_an_unknown_name_is_refused_and_makes_no_folder(bundle, tmp_path):
    opened = open_bundle(bundle)
    with pytest.raises(InputError, match=r"run\.zip holds no file 'x/y'"):
        opened.read("x/y")
    with pytest.raises(InputError, match=r"holds no file '\.\./x/y'"):
        opened.extract("../x/y", tmp_path / "out")
    assert list(tmp_path.iterdir()) == [bundle]


def test_a_file_changed_after_opening_is_noticed_when_it_is_read(bundle, tmp_path):
    opened = open_bundle(bundle)
    write_bundle(bundle, RUN, FILES | {"model.keras": bytes(1024)}, overwrite=True)
    assert opened.read("config.yaml") == FILES["config.yaml"]
    with pytest.raises(InputError, match=r"run\.zip: model\.keras was changed: its SHA-256 is"):
        opened.read("model.keras")
    with pytest.raises(InputError, match=r"model\.keras was changed"):
        opened.extract("model.keras", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bundle_removed_or_replaced_after_opening_is_told(bundle):
    opened = open_bundle(bundle)
    write_bundle(bundle, RUN, {}, overwrite=True)
    with pytest.raises(InputError, match=r"model\.keras was removed since"):
        opened.read("model.keras")
    bundle.write_text("a text")
    with pytest.raises(InputError, match="was changed since it was opened: File is not a zip file"):
        opened.read("model.keras")
    bundle.unlink()
    with pytest.raises(InputError, match="No such file"):
        opened.read("model.keras")


@pytest.mark.parametrize("name", ["large.bin", "large.keras"])
def test_a_large_file_is_never_held_twice(large, tmp_path, name):
    with peak_memory() as writing:
        write_bundle(tmp_path / "run.zip", RUN, {name: large})
    with peak_memory() as opening:
        opened = open_bundle(tmp_path / "run.zip")
    with peak_memory() as extracting:
        target = opened.extract(name, tmp_path / "out")
    with peak_memory() as reading:
        content = opened.read(name)
    assert hashlib.sha256(content).digest() == hashlib.sha256(target.read_bytes()).digest()
    assert max(writing + opening + extracting) < 10 * MEBIBYTE
    assert reading[0] < 70 * MEBIBYTE


def test_what_is_there_but_no_file_and_what_is_not_there_are_refused(tmp_path):
    with pytest.raises(InputError, match="is no file; expected a bundle"):
        verify(tmp_path)
    with pytest.raises(InputError, match=r"gone\.zip is not there; expected a bundle"):
        open_bundle(tmp_path / "gone.zip")
