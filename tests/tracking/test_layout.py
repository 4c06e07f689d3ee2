import pytest

from runback.errors import InputError
from runback.tracking.layout import Layout, find_project, folder_name, project_root


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNBACK_ROOT", raising=False)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "train.yaml").write_text("")
    (tmp_path / "src" / "deep").mkdir(parents=True)
    return tmp_path


def test_the_root_is_found_from_a_folder_far_below(project, monkeypatch):
    monkeypatch.chdir(project / "src" / "deep")
    assert project_root() == project
    assert project_root(project / "src") == project


def test_the_environment_names_a_root_that_is_not_above(project, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("RUNBACK_ROOT", str(project))
    assert project_root() == project


def test_a_root_that_does_not_exist_is_refused(project, monkeypatch):
    monkeypatch.setenv("RUNBACK_ROOT", str(project / "typo"))
    with pytest.raises(InputError, match=r"RUNBACK_ROOT must name a folder; got .*typo"):
        project_root()


def test_a_table_in_pyproject_makes_a_folder_a_project(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNBACK_ROOT", raising=False)
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    assert find_project(tmp_path / "src") is None
    (tmp_path / "pyproject.toml").write_text("[tool.runback]\n")
    assert find_project(tmp_path / "src") == project_root(tmp_path / "src") == tmp_path


def test_outside_a_project_the_root_is_the_repositorys_top_or_the_folder_itself(tmp_path, monkeypatch):
    monkeypatch.delenv("RUNBACK_ROOT", raising=False)
    deep = tmp_path / "src" / "deep"
    deep.mkdir(parents=True)
    assert (find_project(deep), project_root(deep)) == (None, deep)
    (tmp_path / ".git").mkdir()
    assert (find_project(deep), project_root(deep)) == (None, tmp_path)


def test_everything_lies_under_mlruns(tmp_path):
    layout = Layout(tmp_path)
    written = [
        layout.database,
        layout.artifacts,
        layout.sweeps,
        layout.runs,
        layout.data,
        layout.sweep("quick"),
    ]
    assert all(path.is_relative_to(tmp_path / "mlruns") for path in written)
    assert len(set(written)) == len(written)


@pytest.mark.parametrize("name", ["", "..", "a/b", "../../etc"])
def test_a_sweep_cannot_leave_its_folder(tmp_path, name):
    with pytest.raises(InputError, match="a sweep's name must be usable as a folder's name"):
        Layout(tmp_path).sweep(name)


@pytest.mark.parametrize("name", ["x" * 201, "\u00e4" * 101, "..\n", "a\x1b[31m", "a\ud800", "a\u202e"])
def test_a_name_that_is_long_or_not_printable_names_no_folder(name):
    with pytest.raises(InputError, match=r"it must be a (printable name|name of at most 200 bytes)") as told:
        folder_name(name, "it")
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 300


def test_a_name_of_two_hundred_bytes_names_a_folder():
    assert folder_name("x" * 200, "it") == "x" * 200
