import io
import os
import stat
import tracemalloc
import zipfile

import pytest

from runback.errors import InputError
from runback.provenance.code.tree_zip import (
    EXECUTABLE,
    LINK,
    TreeFile,
    leaves_tree,
    pack_tree,
    tree_entries,
    unpack_tree,
)

PRIVATE = (
    *(".git ", ".git.", ".git. . ", ".git::$INDEX_ALLOCATION/x", ".git:x", "git~1/x", "GIT~2"),
    *(".g\u200cit/x", "a/.gi\ufefft", ".\uff47it/x", "a\\.git\\x"),
)
"""Git's folder, as some filesystem takes it."""


def zip_of(*entries):
    """A zip of (name, content, mode) as anyone may write it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = mode << 16
            archive.writestr(entry, content)
    return target.getvalue()


def refused(content, folder, **limits):
    with pytest.raises(InputError) as error:
        unpack_tree(content, folder, **limits)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_files_come_back_as_they_were(tmp_path, contents):
    packed = pack_tree(
        [
            TreeFile("sub/to a", b"../a \xc3\xa4", LINK),
            TreeFile("sub/run", b"#!/bin/sh\n", EXECUTABLE),
            TreeFile("a ä", b"\0\r\n"),
            TreeFile("sub/empty", b""),
        ]
    )
    unpack_tree(packed, tmp_path)
    assert contents(tmp_path) == {
        "a ä": ("file", b"\0\r\n"),
        "sub/empty": ("file", b""),
        "sub/run": ("executable", b"#!/bin/sh\n"),
        "sub/to a": ("link", b"../a \xc3\xa4"),
    }


def test_the_order_of_the_files_changes_no_byte():
    files = [TreeFile("b", b"2"), TreeFile("a", b"1", EXECUTABLE)]
    assert pack_tree(files) == pack_tree(files[::-1])


@pytest.mark.parametrize(
    "name",
    ["/etc/x", "../x", "a/../../x", "a/./x", "a//x", ".git/hooks/x", "a/.GIT/config", ".git", *PRIVATE],
)
def test_an_unsafe_name_is_refused_before_anything_is_written(tmp_path, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    message = refused(zip_of(("good.py", "", 0o100644), (name, "bad", 0o100644)), folder)
    assert "unsafe name" in message
    assert list(tmp_path.rglob("*")) == [folder]


@pytest.mark.parametrize("target", ["/etc/passwd", "../out", "a/../../out", "../../out", ".git/config", ""])
def test_a_link_that_leaves_the_folder_is_refused(tmp_path, target):
    assert "links out" in refused(zip_of(("link", target, stat.S_IFLNK | 0o777)), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("path", "target", "leaves"),
    [
        ("link", "a.py", False),
        ("link", "sub/a.py", False),
        ("sub/link", "../a.py", False),
        ("a/b/link", "../../c", False),
        ("a/b/link", "../../../c", True),
        ("link", "other/../a.py", True),  # `other` may be a link itself
        ("link", "..", True),
        ("link", "..a", False),
    ],
)
def test_where_a_link_leads(path, target, leaves):
    assert leaves_tree(path, target) is leaves


def test_no_file_is_written_through_a_link(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "there").symlink_to(tmp_path)
    assert "is a link" in refused(zip_of(("there/x", "bad", 0o100644)), folder)
    assert not (tmp_path / "x").exists()


def test_no_file_is_written_through_a_link_of_the_same_zip(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(zip_of(("here", ".", stat.S_IFLNK | 0o777), ("here/x", "", 0o100644)), folder)
    assert not (folder / "x").exists()


def test_no_file_takes_anothers_place(tmp_path):
    (tmp_path / "a.py").write_text("mine")
    assert "File exists" in refused(pack_tree([TreeFile("a.py", b"other")]), tmp_path)
    assert (tmp_path / "a.py").read_text() == "mine"


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_name_that_comes_twice_is_refused(tmp_path):
    assert "File exists" in refused(zip_of(("a", "1", 0o100644), ("a", "2", 0o100644)), tmp_path)


def test_more_than_the_limit_is_refused(tmp_path):
    packed = pack_tree([TreeFile("a", b"x" * 600), TreeFile("b", b"x" * 600)])
    assert "1,200 bytes; expected at most 1,000" in refused(packed, tmp_path, max_bytes=1000)
    unpack_tree(packed, tmp_path, max_bytes=1200)


@pytest.mark.parametrize("stated", [10, 3000])
def test_a_file_of_another_than_its_stated_size_is_refused(tmp_path, stated):
    packed = pack_tree([TreeFile("a", b"x" * 300)])
    size = (300).to_bytes(4, "little")
    assert packed.count(size) == 2  # in the file's own header and in the directory
    refused(packed.replace(size, stated.to_bytes(4, "little")), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_changed_byte_is_refused(tmp_path):
    packed = bytearray(pack_tree([TreeFile("a", bytes(range(256)))]))
    packed[60] ^= 1
    refused(bytes(packed), tmp_path)


def test_a_torn_zip_is_refused(tmp_path):
    refused(pack_tree([TreeFile("a", b"x" * 300)])[:-30], tmp_path)


def test_what_unpacks_to_many_times_its_size_is_refused(tmp_path):
    packed = zip_of(("zeros", bytes(100 * 2**20), 0o100644))
    assert "unpacks to 104,857,600 bytes" in refused(packed, tmp_path)
    with pytest.raises(InputError, match="unpacks to"):
        tree_entries(packed)
    assert not list(tmp_path.iterdir())


def test_a_link_to_a_very_long_place_is_refused(tmp_path):
    assert "is no link" in refused(zip_of(("link", "x" * 5000, stat.S_IFLNK | 0o777)), tmp_path)


def test_no_file_gets_a_mode_that_git_does_not_know(tmp_path):
    unpack_tree(zip_of(("a", "", stat.S_IFREG | 0o6777)), tmp_path)
    assert (tmp_path / "a").stat().st_mode & 0o7000 == 0


def test_a_large_tree_is_never_held_whole(tmp_path):
    packed = pack_tree([TreeFile(f"{n}", os.urandom(2**20)) for n in range(40)])
    tracemalloc.start()
    unpack_tree(packed, tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    tracemalloc.stop()
