import errno
import os
from pathlib import Path

import pytest

from runback.system.files.whole_file import publish, whole_file, write_whole


def test_a_file_is_there_whole_or_as_it_was(tmp_path):
    target = tmp_path / "note.txt"
    write_whole(target, b"first")

    def fail():
        with whole_file(target) as stream:
            stream.write(b"half")
            assert target.read_bytes() == b"first"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
    assert target.read_bytes() == b"first"
    write_whole(target, b"second")
    assert target.read_bytes() == b"second"


def test_a_file_is_on_the_disk_before_it_has_its_name_and_its_folder_after(tmp_path, monkeypatch):
    flushed, flush = [], os.fsync

    def noted(descriptor):
        flushed.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), (tmp_path / "a").exists()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_whole(tmp_path / "a", b"content")
    (partial, had_name), (folder, has_name) = flushed
    assert partial.endswith(".a.partial")
    assert (had_name, folder, has_name) == (False, str(tmp_path), True)


def test_a_disk_that_is_full_when_flushed_leaves_what_there_was(tmp_path, monkeypatch):
    write_whole(tmp_path / "a", b"first")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a", b"second")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_without_replace_the_first_one_stays(tmp_path):
    for content in (b"first", b"second"):
        with whole_file(tmp_path / "key", permissions=0o600, replace=False) as stream:
            stream.write(content)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_name_of_255_bytes_is_one_to_write_to(tmp_path):
    write_whole(tmp_path / ("ä" * 127), b"content")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"content"]


def test_a_published_folder_is_flushed_to_its_depth_but_for_links(tmp_path, monkeypatch):
    flushed, flush = [], os.fsync
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "file").write_bytes(b"content")
    (source / "link").symlink_to(tmp_path / "nowhere")

    def noted(descriptor):
        flushed.append(os.path.relpath(str(Path(f"/proc/self/fd/{descriptor}").readlink()), tmp_path))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    publish(source, tmp_path / "target")
    assert sorted(flushed) == [".", "source", "source/deep", "source/deep/file"]
    assert (tmp_path / "target" / "deep" / "file").read_bytes() == b"content"


def test_a_folder_that_another_process_has_published_stays(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        publish(tmp_path / name, tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "first"
