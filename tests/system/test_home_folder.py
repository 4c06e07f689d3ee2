"""The home of nobody: no HOME and no entry, which is named for libraries, and never a place for files."""

from pathlib import Path

import pytest

from runback.errors import InputError
from runback.system.home_folder import NOWHERE, expanded, name_home
from runback.system.signing_key import signature


@pytest.fixture
def _homeless(monkeypatch):
    def nobody(user):
        raise KeyError(user)

    monkeypatch.setenv("HOME", "/restored afterwards")
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    name_home()


@pytest.mark.usefixtures("_homeless")
@pytest.mark.parametrize("path", ["~/mlruns", "~", "~/a/../b"])
def test_a_named_home_of_nobody_is_no_place(path):
    assert Path.home() == Path(NOWHERE)
    with pytest.raises(InputError, match="the folder begins with the home of nobody: "):
        expanded(path, "the folder")


@pytest.mark.usefixtures("_homeless")
def test_no_key_is_put_into_the_home_of_nobody():
    assert signature({}) is None


def test_a_home_is_followed_and_other_paths_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    name_home()
    assert expanded("~/x", "it") == tmp_path / "x"
    assert expanded(f"{NOWHERE}/x", "it") == Path(NOWHERE, "x")
    assert expanded("x~", "it") == Path.cwd() / "x~"
