import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from runback.system import signing_key

FILES = {"config.yaml": b"a: 1\n", "record/record.json": b"{}"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_what_was_signed_is_known_again_and_nothing_else(home):
    signed = signing_key.signature(FILES)
    assert signing_key.is_own(signed, FILES)
    assert not signing_key.is_own(signed, {**FILES, "config.yaml": b"a: 2\n"})
    assert not signing_key.is_own(signed, {**FILES, "record/untracked.zip": b"PK"})
    assert not signing_key.is_own(signed, {"config.yaml": b"{}", "record/record.json": b"a: 1\n"})
    for other in (None, "", "0" * 64, "ä"):
        assert not signing_key.is_own(other, FILES)


def test_others_have_another_key(home, tmp_path, monkeypatch):
    signed = signing_key.signature(FILES)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    assert signing_key.signature(FILES) not in (None, signed)
    assert not signing_key.is_own(signed, FILES)


def test_nobody_else_can_read_the_key(home):
    before = os.umask(0)
    try:
        signing_key.signature(FILES)
    finally:
        os.umask(before)
    [key] = home.rglob("key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == ["key"]


def test_several_at_once_make_one_key(home):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: signing_key.signature(FILES), range(32)))) == 1


@pytest.mark.parametrize("kind", ["file", "torn key"])
def test_where_no_key_can_be_kept_nothing_is_signed(home, kind):
    if kind == "file":
        (home / ".local").write_text("no folder")
    else:
        (home / ".local/share/runback").mkdir(parents=True)
        (home / ".local/share/runback/key").write_bytes(b"short")
    assert signing_key.signature(FILES) is None
    assert not signing_key.is_own("0" * 64, FILES)
