import os

import pytest

from runback.system.files.regular_file import APPEND, READ, WRITE, open_regular, read_regular, write_regular


def test_an_ordinary_file_is_written_and_read(tmp_path):
    write_regular(tmp_path / "one", b"longer")
    write_regular(tmp_path / "one", b"new")
    with os.fdopen(open_regular(tmp_path / "one", APPEND), "ab") as stream:
        stream.write(b"er")
    assert read_regular(tmp_path / "one") == b"newer"
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "two")


@pytest.mark.parametrize("flags", [READ, APPEND, WRITE])
@pytest.mark.parametrize("kind", ["pipe", "link", "dangling", "folder"])
def test_anything_else_is_refused_at_once(tmp_path, kind, flags):
    file, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case _:
            file.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.write_text("kept")
    with pytest.raises(OSError, match="file"):
        os.close(open_regular(file, flags))
    assert not elsewhere.exists() or elsewhere.read_text() == "kept"
