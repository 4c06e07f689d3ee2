import os
import subprocess

import pytest

from runback.provenance.code import GitState, git_state, without_credentials


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git in a fresh repository, with nobody's own settings."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    repository = tmp_path / "a repository"
    repository.mkdir()

    def run(*arguments):
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", "-C", str(repository), *who, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    run("init", "--quiet", "--initial-branch=trunk")
    run.root = repository
    return run


@pytest.fixture
def commit(git):
    (git.root / "train.py").write_text("a = 1\n")
    (git.root / ".gitignore").write_text("mlruns/\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "First")
    return git("rev-parse", "HEAD")


def test_a_clean_tree_has_its_commit_and_branch(git, commit):
    assert git_state(git.root) == GitState(commit, "trunk", dirty=False, remote=None)


def test_a_folder_below_belongs_to_the_same_tree(git, commit):
    (git.root / "mlruns").mkdir()
    assert git_state(git.root / "mlruns").commit == commit


@pytest.mark.parametrize("change", ["tracked", "staged", "untracked"])
def test_every_kind_of_change_makes_it_dirty(git, commit, change):
    file = git.root / ("new.py" if change == "untracked" else "train.py")
    file.write_text("a = 2\n")
    if change == "staged":
        git("add", "train.py")
    assert git_state(git.root) == GitState(commit, "trunk", dirty=True, remote=None)


def test_ignored_files_leave_it_clean(git, commit):
    (git.root / "mlruns").mkdir()
    (git.root / "mlruns" / "mlflow.db").write_text("")
    assert not git_state(git.root).dirty


def test_a_detached_head_has_no_branch(git, commit):
    git("checkout", "--quiet", "--detach")
    assert git_state(git.root) == GitState(commit, None, dirty=False, remote=None)


def test_a_remote_comes_without_its_password(git, commit):
    git("remote", "add", "origin", "https://me:token@host.example:8443/group/project.git?key=token#token")
    assert git_state(git.root).remote == "https://host.example:8443/group/project.git"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("git@host.example:group/project.git", "git@host.example:group/project.git"),
        ("ssh://git@host.example/project.git", "ssh://host.example/project.git"),
        ("https://token@host.example/p", "https://host.example/p"),
        ("https://me:p@ss@host.example/p", "https://host.example/p"),
        ("../elsewhere", "../elsewhere"),
        ("/srv/git/project.git", "/srv/git/project.git"),
    ],
)
def test_each_form_of_a_remote(url, shown):
    assert without_credentials(url) == shown


def test_before_the_first_commit_there_is_none(git):
    (git.root / "train.py").write_text("a = 1\n")
    assert git_state(git.root) == GitState()


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state(tmp_path) == GitState()


def test_without_git_there_is_no_commit(git, commit, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state(git.root) == GitState()


def test_asking_changes_nothing_in_the_repository(git, commit):
    index = git.root / ".git" / "index"
    os.utime(git.root / "train.py")  # makes `git status` want to refresh the index
    before = index.read_bytes()
    git_state(git.root)
    assert index.read_bytes() == before
