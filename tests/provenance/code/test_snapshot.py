import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import zipfile
from functools import partial
from pathlib import Path

import pytest

from runback.errors import InputError
from runback.provenance.code.commit_zip import commit_zip
from runback.provenance.code.snapshot import Snapshot, take_snapshot, tree_state
from runback.provenance.code.working_tree import worktree

NAME = 'sub dir/ünï "quoted".py'


def test_a_clean_tree_is_its_commit(repository):
    snapshot = take_snapshot(repository.root)
    assert snapshot == Snapshot(
        commit=repository.git("rev-parse", "HEAD"),
        tree=repository.git("rev-parse", "HEAD^{tree}"),
        branch="trunk",
    )
    assert not snapshot.dirty
    assert snapshot.warning is None
    assert snapshot.untracked_zip() == b""


def test_a_record_holds_the_hashes_of_what_lies_beside_it(changed):
    snapshot = take_snapshot(changed.root)
    facts = json.loads(json.dumps(snapshot.as_dict()))
    assert facts["patch_sha256"] == hashlib.sha256(snapshot.patch).hexdigest()
    assert facts["untracked"]["untracked.py"] == hashlib.sha256(b"x = 1\n").hexdigest()
    assert sorted(facts["untracked"]) == [
        *("notes/nothing", "notes/tool", "notes/up", "notes/ä b\nc.txt", "untracked.py")
    ]
    assert (facts["dirty"], facts["left_out"], facts["branch"]) == (True, [], "trunk")


def test_a_clean_record_has_no_patch(repository):
    facts = take_snapshot(repository.root).as_dict()
    assert (facts["dirty"], facts["patch_sha256"], facts["untracked"]) == (False, None, {})


@pytest.mark.parametrize("change", ["tracked", "staged", "untracked", "mode"])
def test_every_kind_of_change_makes_it_dirty(repository, change):
    if change == "mode":
        (repository.root / "train.py").chmod(0o755)
    else:
        repository.write("new.py" if change == "untracked" else "train.py", "a = 3\n")
    if change == "staged":
        repository.git("add", "train.py")
    assert take_snapshot(repository.root).dirty


def test_a_file_whose_date_alone_changed_is_no_change(repository):
    repository.write(".env", "A=1\n")
    repository.commit()
    for name in ("train.py", "weights.bin", ".env"):
        os.utime(repository.root / name, (1, 1))
    assert not take_snapshot(repository.root).dirty


def test_a_change_in_the_instant_of_the_commit_is_seen(repository):
    train, index = repository.root / "train.py", repository.root / ".git" / "index"
    repository.git("config", "core.trustctime", "false")
    os.utime(train, (1_000_000_000, 1_000_000_000))
    subprocess.run(["git", "-C", str(repository.root), "update-index", "--refresh"], check=True)
    os.utime(index, (1_000_000_000, 1_000_000_000))
    train.write_text(train.read_text().replace("1", "2"))  # as large, and with the same date
    os.utime(train, (1_000_000_000, 1_000_000_000))
    assert take_snapshot(repository.root).dirty


def test_looking_changes_nothing(changed):
    os.utime(changed.root / ".gitignore", (1, 1))  # makes git want to refresh the index
    before = changed.state()
    take_snapshot(changed.root)
    assert changed.state() == before


SETTINGS = {
    "diff.noprefix": "true",
    "diff.mnemonicPrefix": "true",
    "diff.external": "false",
    "diff.renames": "copies",
    "diff.algorithm": "patience",
    "diff.context": "0",
    "diff.interHunkContext": "9",
    "diff.indentHeuristic": "false",
    "diff.orderFile": "order",
    "diff.relative": "true",
    "diff.suppressBlankEmpty": "true",
    "diff.colorMoved": "zebra",
    "diff.autoRefreshIndex": "true",
    "diff.upper.textconv": "tr a-z A-Z <",
    "core.quotepath": "true",
    "core.abbrev": "40",
    "core.pager": "false",
    "color.ui": "always",
    "color.diff": "always",
    "status.showUntrackedFiles": "no",
}


def test_a_users_settings_change_nothing_of_it(changed):
    changed.write(".git/info/attributes", "*.py diff=upper\n")
    changed.write(".git/order", "train.py\n")
    os.utime(changed.root / ".gitignore", (1, 1))
    plain = take_snapshot(changed.root)
    for key, value in SETTINGS.items():
        changed.git("config", key, str(changed.root / ".git/order") if value == "order" else value)
    assert take_snapshot(changed.root) == plain
    assert take_snapshot(changed.root / "sub dir").patch == plain.patch


def test_a_hooks_environment_changes_nothing_of_it(changed, tmp_path, monkeypatch):
    plain = take_snapshot(changed.root)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_DIFF_OPTS", "--unified=0")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    assert take_snapshot(changed.root) == plain


def test_a_folder_below_stands_for_the_whole_repository(changed):
    whole, below = take_snapshot(changed.root), take_snapshot(changed.root / "sub dir")
    assert below == whole


def test_a_link_to_the_project_is_followed(repository, tmp_path):
    (tmp_path / "link").symlink_to(repository.root / "sub dir")
    repository.write("sub dir/mlruns/mlflow.db", "")
    assert take_snapshot(tmp_path / "link") == take_snapshot(repository.root / "sub dir")
    assert not take_snapshot(tmp_path / "link").dirty


def test_a_detached_head_has_no_branch(repository):
    repository.git("checkout", "--quiet", "--detach")
    snapshot = take_snapshot(repository.root)
    assert (snapshot.branch, snapshot.commit) == (None, repository.git("rev-parse", "HEAD"))


def test_a_branch_may_have_slashes(repository):
    repository.git("checkout", "--quiet", "-b", "feature/a")
    assert take_snapshot(repository.root).branch == "feature/a"


def test_a_remote_comes_without_its_password(repository):
    repository.git("remote", "add", "origin", "https://me:token@host.example:8443/p.git?key=token#token")
    assert take_snapshot(repository.root).remote == "https://host.example:8443/p.git"


def test_before_the_first_commit_there_is_nothing(empty):
    empty.write("train.py", "a = 1\n")
    assert take_snapshot(empty.root) == Snapshot()


def test_outside_a_repository_there_is_nothing(nobody, tmp_path):
    assert take_snapshot(tmp_path) == Snapshot()
    assert take_snapshot(tmp_path / "missing") == Snapshot()
    assert Snapshot().as_dict() == {
        **dict.fromkeys(("commit", "tree", "branch", "remote", "patch_sha256")),
        **{"dirty": False, "untracked": {}, "left_out": []},
    }


def test_without_git_there_is_nothing(changed, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert take_snapshot(changed.root) == Snapshot()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_that_git_refuses_to_read_is_told(repository):
    for path in (repository.root, repository.root / ".git"):
        os.chown(path, 12345, 12345)
    snapshot = take_snapshot(repository.root)
    assert snapshot.commit is None
    assert "dubious ownership" in snapshot.warning
    command = f"git config --global --add safe.directory {shlex.quote(str(repository.root))}"
    assert command in snapshot.warning
    assert command in snapshot.missing


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("ask", ["worktree", "commit_zip"])
def test_a_refused_repository_names_the_command_wherever_it_is_asked(ask, repository, tmp_path):
    commit = repository.git("rev-parse", "HEAD")
    for path in (repository.root, repository.root / ".git"):
        os.chown(path, 12345, 12345)
    asked = {
        "worktree": worktree(repository.root, commit, tmp_path / "checkout").__enter__,
        "commit_zip": partial(commit_zip, repository.root, commit),
    }
    with pytest.raises(InputError, match=r"git config --global --add safe\.directory ") as refused:
        asked[ask]()
    assert "unknown" not in str(refused.value)
    assert "any more" not in str(refused.value)


def test_why_no_code_is_recorded_is_known(tmp_path, monkeypatch):
    assert take_snapshot(tmp_path).missing == f"{tmp_path} is in no git repository"
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert take_snapshot(tmp_path).missing == f"the git repository of {tmp_path} has no commit yet"
    monkeypatch.setenv("PATH", "")
    assert "git cannot be run" in take_snapshot(tmp_path).missing


def test_a_tracked_change_that_git_cannot_tell_is_told(repository):
    blob = repository.git("rev-parse", "HEAD:train.py")
    (repository.root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repository.write("train.py", "a = 9\n")
    snapshot = take_snapshot(repository.root)
    assert snapshot.dirty
    assert "changes of tracked files" in snapshot.warning


@pytest.mark.parametrize("project", [".", "sub dir"])
def test_what_runs_write_is_no_code_even_where_nothing_ignores_it(repository, project):
    root = repository.root / project
    for name in ("mlruns/mlflow.db", "pkg/__pycache__/a.cpython-311.pyc", "pkg/b.pyc", "x.egg-info/PKG-INFO"):
        repository.write(f"{project}/{name}", "")
    assert take_snapshot(root) == take_snapshot(root)
    assert not take_snapshot(root).dirty


def test_a_tracked_store_is_no_code(repository):
    repository.write("mlruns/mlflow.db", "1")
    repository.commit()
    repository.write("mlruns/mlflow.db", "2")
    assert not take_snapshot(repository.root).dirty


def test_only_the_projects_own_mlruns_is_no_code(repository):
    repository.write("sub dir/mlruns/code.py", "")
    assert sorted(take_snapshot(repository.root).untracked) == ["sub dir/mlruns/code.py"]


@pytest.mark.parametrize(
    "name", [".env", "conf/.env.local", "server.pem", "ID_RSA", ".ssh/config", "gcp-credentials.json"]
)
@pytest.mark.parametrize("is_tracked", [True, False])
def test_a_secret_is_never_recorded(repository, name, is_tracked):
    if is_tracked:
        repository.write(name, "PASSWORD=example\n")
        repository.commit()
    repository.write(name, "PASSWORD=hunter2\n")
    repository.write("train.py", "a = 5\n")
    snapshot = take_snapshot(repository.root)
    everything = snapshot.patch + b"".join(snapshot.untracked.values()) + snapshot.untracked_zip()
    assert b"hunter2" not in everything
    assert [(one.path, one.bytes) for one in snapshot.left_out] == [(name, 17)]
    assert name in snapshot.warning
    assert b"+a = 5" in snapshot.patch


def test_a_file_with_a_secret_in_it_is_left_out_and_named(repository):
    token = "ghp_" + "a1B2" * 9
    repository.write("client.py", f'API = "{token}"\n')
    repository.write("notes.txt", f"use {token}\n")
    repository.write("plain.py", "token = tokenizer(x)\n")
    snapshot = take_snapshot(repository.root)
    assert sorted(snapshot.untracked) == ["plain.py"]
    assert [one.path for one in snapshot.left_out] == ["client.py", "notes.txt"]
    assert {one.reason for one in snapshot.left_out} == {"it holds a private key or a token"}


def test_a_tracked_files_change_with_a_secret_in_it_is_left_out_and_named(repository):
    token = "ghp_" + "a1B2" * 9
    repository.write("client.py", "API = None\n")
    repository.commit()
    repository.write("client.py", f'API = "{token}"\n')
    repository.write("train.py", "a = 5\n")
    snapshot = take_snapshot(repository.root)
    assert token.encode() not in snapshot.patch
    assert b"+a = 5" in snapshot.patch
    assert [one.path for one in snapshot.left_out] == ["client.py"]
    assert "a token" in snapshot.warning


def test_code_about_secrets_is_code(repository):
    for name in ("tokenizer.py", "secrets.py", "keys.py", "environment.yaml"):
        repository.write(name, "")
    assert len(take_snapshot(repository.root).untracked) == 4


def test_a_huge_file_is_left_out_and_small_ones_are_kept(repository):
    with (repository.root / "a huge.npy").open("wb") as file:
        file.truncate(11 * 2**20)
    repository.write("b.py", "b = 1\n")
    snapshot = take_snapshot(repository.root)
    assert list(snapshot.untracked) == ["b.py"]
    assert [one.bytes for one in snapshot.left_out] == [11 * 2**20]
    assert "a huge.npy (over the limit of 10 MiB in all)" in snapshot.warning


def test_the_limit_is_for_all_files_together_and_is_reached_exactly(repository):
    for name, size in (("a", 6), ("b", 4), ("c", 5)):
        repository.write(name, b"x" * size)
    assert sorted(take_snapshot(repository.root, limit=9).untracked) == ["b", "c"]
    assert sorted(take_snapshot(repository.root, limit=8).untracked) == ["b"]
    assert sorted(take_snapshot(repository.root, limit=15).untracked) == ["a", "b", "c"]


def test_many_files_left_out_are_told_by_folder(repository):
    for number in range(150):
        repository.write(f"data/cats/{number}.png", b"x" * 10)
    snapshot = take_snapshot(repository.root, limit=5)
    assert [(one.path, one.bytes) for one in snapshot.left_out] == [("data/cats/", 1500)]
    assert "150 files" in snapshot.warning


def test_a_warning_stays_short_and_on_one_line(repository):
    for number in range(8):
        repository.write(f"{number}\n.pem", "")
    assert "\n" not in take_snapshot(repository.root).warning
    assert take_snapshot(repository.root).warning.endswith("and 3 more")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_a_file_that_cannot_be_read_is_left_out(repository):
    repository.write("a.py", "").chmod(0)
    assert "cannot be read" in take_snapshot(repository.root).left_out[0].reason


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub dir/../../outside", ".git/config"])
def test_a_link_out_of_the_repository_is_left_out(repository, target):
    (repository.root / "link").symlink_to(target)
    snapshot = take_snapshot(repository.root)
    assert not snapshot.untracked
    assert target in snapshot.warning


def test_a_repository_within_is_left_out(repository):
    shutil.copytree(repository.root, repository.root / "inner", symlinks=True)
    snapshot = take_snapshot(repository.root)
    assert [one.path for one in snapshot.left_out] == ["inner/"]


def test_a_name_that_is_no_text_is_left_out(repository):
    try:
        Path(os.fsdecode(os.fsencode(repository.root) + b"/\xff.py")).touch()
    except OSError:
        pytest.skip("this filesystem takes UTF-8 names only")
    snapshot = take_snapshot(repository.root)
    assert json.dumps(snapshot.as_dict(), ensure_ascii=False).encode()
    assert "\\xff.py" in snapshot.warning


def test_the_zip_of_untracked_files_is_the_same_for_the_same_files(changed):
    before = take_snapshot(changed.root).untracked_zip()
    for path in (changed.root / "untracked.py", changed.root / "notes/tool"):
        os.utime(path, (1, 1))
    assert take_snapshot(changed.root).untracked_zip() == before
    with zipfile.ZipFile(io.BytesIO(before)) as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
    assert (modes["notes/tool"], modes["untracked.py"]) == ("0o100755", "0o100644")
    assert modes["notes/up"].startswith("0o120")


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.write("train.py", "a = 3\n"),
        lambda r: (r.root / "train.py").chmod(0o755),
        lambda r: (r.root / "train.py").unlink(),
        lambda r: r.write("new/file.py", "a = 3\n"),
        lambda r: r.git("commit", "--allow-empty", "-m", "next"),
        lambda r: r.git("switch", "-c", "other"),
    ],
    ids=["edited", "mode", "deleted", "untracked", "commit", "branch"],
)
def test_the_state_of_a_tree_changes_with_what_a_snapshot_holds(repository, change):
    before = tree_state(repository.root, repository.root), take_snapshot(repository.root)
    assert tree_state(repository.root, repository.root) == before[0]
    change(repository)
    assert take_snapshot(repository.root) != before[1]
    assert tree_state(repository.root, repository.root) != before[0]


@pytest.mark.parametrize("name", ["train.py", "untracked.py", "notes/ä b\nc.txt"])
def test_the_state_of_a_tree_changes_with_what_is_changed_again(changed, name):
    before = tree_state(changed.root, changed.root)
    assert tree_state(changed.root, changed.root) == before
    with (changed.root / name).open("a") as file:
        file.write("again = 1\n")
    assert tree_state(changed.root, changed.root) != before


HYDRA = [
    "outputs/2026-11-29/18-43-33/app.log",
    "sub dir/multirun/2026-11-29/18-42-50/0/.hydra/config.yaml",
    ".hydra/hydra.yaml",
]


@pytest.mark.parametrize("name", HYDRA)
def test_what_hydra_writes_by_itself_is_no_code(repository, name):
    before = tree_state(repository.root, repository.root)
    repository.write(name, "x")
    assert take_snapshot(repository.root).untracked == {}
    assert tree_state(repository.root, repository.root) == before


@pytest.mark.parametrize("name", HYDRA)
def test_a_change_of_it_counts_where_git_tracks_it(repository, name):
    repository.write(name, "x")
    repository.commit()
    before = tree_state(repository.root, repository.root)
    repository.write(name, "y")
    assert take_snapshot(repository.root).patch
    assert tree_state(repository.root, repository.root) != before


@pytest.mark.parametrize("name", ["outputs/model.py", "multirun/2026-11-29/app.py", "conf/.hydra/own.yaml"])
def test_files_beside_hydras_are_code(repository, name):
    repository.write(name, "x")
    assert list(take_snapshot(repository.root).untracked) == [name]


def test_mlruns_is_no_part_of_the_state_of_a_tree(repository):
    before = tree_state(repository.root, repository.root)
    repository.write("mlruns/runback.db", "x")
    assert tree_state(repository.root, repository.root) == before


def test_outside_a_repository_the_state_stays(tmp_path):
    assert tree_state(tmp_path, tmp_path) == tree_state(tmp_path, tmp_path)
