import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from runback.errors import InputError
from runback.provenance.code.commit_zip import commit_zip
from runback.provenance.code.snapshot import take_snapshot
from runback.provenance.code.tree_zip import TreeFile, pack_tree
from runback.provenance.code.working_tree import (
    abandoned_checkouts,
    knows_commit,
    remove_abandoned_worktrees,
    remove_checkout,
    toplevel,
    unpacked,
    worktree,
)
from runback.provenance.comparing.difference import differences

HOLD = """
import sys
from pathlib import Path
from runback.provenance.code.working_tree import unpacked, worktree
from runback.provenance.code.commit_zip import commit_zip

kind, repository, commit, folder = sys.argv[1:]
repository, folder = Path(repository), Path(folder)
made = (
    worktree(repository, commit, folder)
    if kind == "worktree"
    else unpacked(commit_zip(repository, commit), folder)
)
with made:
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """Starts processes that keep a checkout open until they are killed."""
    processes = []

    def start(kind, repository, commit, folder):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, kind, str(repository.root), commit, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout.readline() == b"ready\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def kill(process):
    process.kill()
    process.communicate()


def code(folder):
    return {"code": take_snapshot(folder).as_dict()}


def make(kind, repository, snapshot, folder, **extra):
    changes = (snapshot.patch, snapshot.untracked_zip() or None)
    if kind == "worktree":
        return worktree(repository.root, snapshot.commit, folder, *changes)
    return unpacked(commit_zip(repository.root, snapshot.commit), folder, *changes, tree=snapshot.tree)


KINDS = pytest.mark.parametrize("kind", ["worktree", "unpacked"])


@KINDS
def test_a_checkout_is_the_recorded_code_and_leaves_the_users_alone(changed, tmp_path, contents, kind):
    snapshot, files = take_snapshot(changed.root), contents(changed.root)
    del files["ignored/data.npy"]
    before = changed.state()
    with make(kind, changed, snapshot, tmp_path / "a folder" / "code") as folder:
        assert contents(folder) == files
        assert differences({"code": snapshot.as_dict()}, code(folder)) == []
        during = changed.state()
    assert changed.state() == before
    assert {**during, "worktrees": None} == {**before, "worktrees": None}
    assert not folder.exists()


@KINDS
def test_old_code_comes_from_a_checkout_that_has_moved_on(changed, tmp_path, contents, kind):
    snapshot, files = take_snapshot(changed.root), contents(changed.root)
    changed.git("add", "--all")  # git stashes no file that is only intended to be added
    changed.git("stash", "push", "--include-untracked")
    changed.write("train.py", "a = 'new'\n")
    changed.commit()
    changed.git("checkout", "--quiet", "-b", "other")
    changed.write("run.sh", "staged\n")
    changed.git("add", "run.sh")
    changed.write("run.sh", "and changed\n")
    changed.write("new/untracked.py", "")
    before = changed.state()
    assert before["stashes"]
    with make(kind, changed, snapshot, tmp_path / "code") as folder:
        assert contents(folder) == {k: v for k, v in files.items() if not k.startswith("ignored/")}
        assert take_snapshot(folder).tree == snapshot.tree
    assert changed.state() == before


@KINDS
def test_a_file_that_git_was_told_to_forget_is_there_and_untracked(repository, tmp_path, kind):
    repository.git("rm", "--quiet", "--cached", "train.py")
    snapshot = take_snapshot(repository.root)
    with make(kind, repository, snapshot, tmp_path / "code") as folder:
        assert (folder / "train.py").is_file()
        assert differences({"code": snapshot.as_dict()}, code(folder)) == []


@KINDS
def test_a_file_may_become_a_folder_and_a_folder_a_link(repository, tmp_path, contents, kind):
    (repository.root / "train.py").unlink()
    repository.write("train.py/part.py", "")
    repository.git("add", "--all")
    repository.git("rm", "-r", "--quiet", "sub dir")
    (repository.root / "sub dir").symlink_to("train.py")
    snapshot, files = take_snapshot(repository.root), contents(repository.root)
    with make(kind, repository, snapshot, tmp_path / "code") as folder:
        assert contents(folder) == files
        assert differences({"code": snapshot.as_dict()}, code(folder)) == []


@KINDS
def test_a_merge_that_waits_for_its_user_is_code_too(repository, tmp_path, contents, kind):
    repository.write("train.py", "a = 'ours'\n")
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "theirs", "HEAD~1")
    repository.write("train.py", "a = 'theirs'\n")
    repository.write("theirs.py", "")
    repository.commit()
    with pytest.raises(subprocess.CalledProcessError):
        repository.git("merge", "trunk")
    snapshot, files, before = take_snapshot(repository.root), contents(repository.root), repository.state()
    with make(kind, repository, snapshot, tmp_path / "code") as folder:
        assert b"<<<<<<<" in files["train.py"][1]
        assert contents(folder) == files
    assert repository.state() == before


@KINDS
@pytest.mark.parametrize("ending", ["crlf", "lf"])
def test_line_ends_that_git_converts_stay_the_same_code(repository, tmp_path, contents, kind, ending):
    repository.write(".gitattributes", f"*.txt text eol={ending}\n* text=auto\n")
    repository.write("a.txt", "1\r\n2\r\n" if ending == "crlf" else "1\n2\n")
    repository.commit()
    repository.write("a.txt", "1\r\n3\r\n" if ending == "crlf" else "1\n3\n")
    snapshot, files = take_snapshot(repository.root), contents(repository.root)
    with make(kind, repository, snapshot, tmp_path / "code") as folder:
        assert contents(folder) == files
        assert differences({"code": snapshot.as_dict()}, code(folder)) == []


def test_a_projects_export_rules_leave_nothing_out_of_its_packed_commit(repository, tmp_path):
    repository.write(".gitattributes", "tests export-ignore\nversion.py export-subst ident\n")
    repository.write("tests/test_a.py", "")
    repository.write("version.py", "$Format:%H$ $Id$\n")
    repository.write("ignored/but tracked.py", "")
    repository.git("add", "--force", "ignored/but tracked.py")
    repository.commit()
    before = repository.state()
    snapshot = take_snapshot(repository.root)
    with make("unpacked", repository, snapshot, tmp_path / "code") as folder:
        assert (folder / "tests" / "test_a.py").is_file()
        assert (folder / "ignored" / "but tracked.py").is_file()
        assert take_snapshot(folder).tree == snapshot.tree
    assert repository.state() == before


def test_a_packed_commit_always_becomes_the_same_commit(repository, tmp_path):
    packed = commit_zip(repository.root, repository.git("rev-parse", "HEAD"))
    found = []
    for name in ("a", "b"):
        with unpacked(packed, tmp_path / name) as folder:
            found.append(take_snapshot(folder).commit)
    assert found[0] == found[1]


def test_a_packed_commit_with_another_tree_is_refused(repository, tmp_path):
    packed = commit_zip(repository.root, repository.git("rev-parse", "HEAD"))
    with (
        pytest.raises(InputError, match=f"expected git tree {'0' * 40}"),
        unpacked(packed, tmp_path / "code", tree="0" * 40),
    ):
        pass
    assert not (tmp_path / "code").exists()


def test_a_submodule_makes_no_surprises(repository, tmp_path, empty):
    inner = tmp_path / "inner"
    shutil.copytree(repository.root, inner, symlinks=True)
    repository.git("submodule", "--quiet", "add", str(inner), "inner")
    repository.git("config", "submodule.recurse", "true")
    repository.git("config", "diff.submodule", "log")
    first = repository.commit()
    module = type(repository)(repository.root / "inner")
    module.write("train.py", "a = 'newer'\n")
    module.commit()
    snapshot, before = take_snapshot(repository.root), repository.state()
    assert b"Subproject commit" in snapshot.patch
    with make("worktree", repository, snapshot, tmp_path / "code") as folder:
        assert take_snapshot(folder).commit == first
        assert differences({"code": snapshot.as_dict()}, code(folder)) == []
    assert repository.state() == before


@pytest.mark.parametrize("hook", ["post-checkout", "reference-transaction", "post-index-change"])
def test_no_hook_of_the_user_runs(changed, tmp_path, hook):
    seen = tmp_path / "seen"
    changed.write(f".git/hooks/{hook}", f"#!/bin/sh\necho {hook} >> '{seen}'\n").chmod(0o755)
    with make("worktree", changed, take_snapshot(changed.root), tmp_path / "code"):
        pass
    assert not seen.exists()


@KINDS
@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_the_users_settings_do_not_change_the_code(repository, tmp_path, monkeypatch, kind, autocrlf):
    repository.write("windows.py", "a = 1\r\nb = 2\r\n")
    repository.commit()
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    for hook in ("pre-commit", "post-checkout"):
        (tmp_path / "template" / "hooks" / hook).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "template" / "hooks" / hook).chmod(0o755)
    (tmp_path / "template" / "info").mkdir()
    (tmp_path / "template" / "info" / "exclude").write_text("*.py\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    for key, value in {
        "apply.whitespace": "error-all",
        "commit.gpgSign": "true",
        "core.autocrlf": autocrlf,
        "gpg.program": "false",
        "init.templateDir": str(tmp_path / "template"),
    }.items():
        repository.git("config", "--global", key, value)
    repository.write("train.py", "a = 2  \n\n\n\n\n\n\n\n\n\nb = 3\n")
    repository.write("untracked.py", "")
    snapshot, before = take_snapshot(repository.root), repository.state()
    with make(kind, repository, snapshot, tmp_path / "code") as folder:
        assert differences({"code": snapshot.as_dict()}, code(folder)) == []
    assert repository.state() == before


def test_changes_apply_to_exactly_the_code_they_were_made_to(repository, tmp_path):
    repository.write("train.py", "a = 2\n\n\n\n\n\n\n\n\n\nb = 2\n")
    snapshot = take_snapshot(repository.root)
    repository.write("train.py", "a  = 1\n\n\n\n\n\n\n\n\n\nb = 2\n")
    moved = replace(snapshot, commit=repository.commit())
    repository.git("config", "apply.ignoreWhitespace", "change")
    assert "do not apply" in refused(make("worktree", repository, moved, tmp_path / "code"))


def test_what_is_trained_in_a_worktree_goes_with_it(repository, tmp_path):
    commit, folder = repository.git("rev-parse", "HEAD"), tmp_path / "code"
    before = repository.state()

    def train():
        with worktree(repository.root, commit, folder):
            (folder / "train.py").write_text("changed by the training")
            (folder / "mlruns").mkdir()
            (folder / "mlruns" / "mlflow.db").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert not folder.exists()
    assert repository.state() == before


def test_a_worktree_of_a_project_in_a_subfolder_is_the_whole_repository(repository, tmp_path):
    snapshot = take_snapshot(repository.root / "sub dir")
    with worktree(repository.root / "sub dir", snapshot.commit, tmp_path / "code") as folder:
        assert take_snapshot(folder / "sub dir") == replace(snapshot, branch=None)


def test_what_killed_processes_left_behind_is_gone_the_next_time(repository, tmp_path, hold):
    commit = repository.git("rev-parse", "HEAD")
    before = repository.state()
    started = [hold("worktree", repository, commit, tmp_path / name) for name in ("left", "torn", "gone")]
    for process in started:
        kill(process)
    (tmp_path / "torn" / ".git").unlink()
    shutil.rmtree(tmp_path / "gone")
    assert (tmp_path / "left" / "train.py").is_file()
    with worktree(repository.root, commit, tmp_path / "left") as folder:
        assert (folder / "train.py").is_file()
    assert list(tmp_path.iterdir()) == [repository.root]
    assert repository.state() == before


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.04, 0.08, 0.16])
def test_a_worktree_that_was_being_made_when_everything_was_killed_is_gone_too(repository, tmp_path, delay):
    for number in range(2000):
        repository.write(f"many/{number}.py", "x\n" * 100)
    commit = repository.commit()
    before = repository.state()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, "worktree", str(repository.root), commit, str(tmp_path / "code")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (tmp_path / "code").exists():
        assert process.poll() is None
    time.sleep(delay)
    started = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    psutil.wait_procs(started, timeout=30)  # a git that is in a system call ends a little later
    with worktree(repository.root, commit, tmp_path / "code") as folder:
        assert len(list((folder / "many").iterdir())) == 2000
    assert repository.state() == before
    assert not list((repository.root / ".git").glob("worktrees/*"))


def test_others_worktrees_stay(repository, tmp_path, hold):
    commit = repository.git("rev-parse", "HEAD")
    hold("worktree", repository, commit, tmp_path / "of a living process")
    for name in ("users", "users locked", "away"):
        repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / name))
    repository.git("worktree", "lock", str(tmp_path / "users locked"), "--reason", "runback is great")
    (tmp_path / "away").rename(tmp_path / "on another disk")
    before = repository.state()
    with worktree(repository.root, commit, tmp_path / "code"):
        pass
    assert repository.state() == before
    assert (tmp_path / "of a living process" / "train.py").is_file()
    assert (tmp_path / "users locked" / "train.py").is_file()


def test_what_was_unpacked_for_a_killed_process_is_gone_the_next_time(repository, tmp_path, hold):
    commit = repository.git("rev-parse", "HEAD")
    checkouts = tmp_path / "checkouts"
    hold("unpacked", repository, commit, checkouts / "alive")
    kill(hold("unpacked", repository, commit, checkouts / "left"))
    (checkouts / "something else").mkdir()
    with unpacked(commit_zip(repository.root, commit), checkouts / "left"):
        pass
    assert sorted(path.name for path in checkouts.iterdir()) == ["alive", "something else"]


def test_removing_leftovers_outside_a_repository_does_nothing(nobody, tmp_path):
    remove_abandoned_worktrees(tmp_path, tmp_path)


def refused(context):
    with pytest.raises(InputError) as error, context:
        pytest.fail("it was accepted")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_repository_that_is_gone_is_told(repository, tmp_path):
    commit = repository.git("rev-parse", "HEAD")
    shutil.rmtree(repository.root / ".git")
    assert "not in a git repository" in refused(worktree(repository.root, commit, tmp_path / "code"))
    assert "not in a git repository" in refused(worktree(tmp_path / "no", commit, tmp_path / "code"))


def test_without_git_that_is_told(repository, tmp_path, monkeypatch):
    commit = repository.git("rev-parse", "HEAD")
    packed = commit_zip(repository.root, commit)
    monkeypatch.setenv("PATH", "")
    assert "git cannot be run" in refused(worktree(repository.root, commit, tmp_path / "code"))
    assert "git cannot be run" in refused(unpacked(packed, tmp_path / "code"))
    assert not (tmp_path / "code").exists()


def test_a_commit_that_is_unknown_is_told_with_what_to_do(repository, tmp_path):
    commit = repository.git("rev-parse", "HEAD")
    repository.git("commit", "--quiet", "--amend", "--message", "Another")
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "--quiet", "--prune=now")
    before = repository.state()
    message = refused(worktree(repository.root, commit, tmp_path / "code"))
    assert commit[:12] in message
    assert "git fetch" in message
    assert "bundle" in message
    assert repository.state() == before
    with pytest.raises(InputError, match="unknown"):
        commit_zip(repository.root, commit)


@pytest.mark.parametrize("commit", ["HEAD", "trunk", "--help", "", "abc1234", "g" * 40])
def test_only_a_full_hash_names_a_commit(repository, tmp_path, commit):
    assert "full commit hash" in refused(worktree(repository.root, commit, tmp_path / "code"))


def test_a_tree_is_no_commit(repository, tmp_path):
    tree = repository.git("rev-parse", "HEAD^{tree}")
    assert "unknown" in refused(worktree(repository.root, tree, tmp_path / "code"))


@KINDS
def test_a_folder_in_use_is_left_alone(repository, tmp_path, kind):
    snapshot = take_snapshot(repository.root)
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    assert "not empty" in refused(make(kind, repository, snapshot, folder))
    assert (folder / "mine.txt").read_text() == "mine"


@KINDS
def test_an_empty_folder_is_used(repository, tmp_path, kind):
    (tmp_path / "code").mkdir()
    with make(kind, repository, take_snapshot(repository.root), tmp_path / "code") as folder:
        assert (folder / "train.py").is_file()


@KINDS
def test_a_folder_that_cannot_be_made_is_told(repository, tmp_path, kind):
    (tmp_path / "file").touch()
    before = repository.state()
    refused(make(kind, repository, take_snapshot(repository.root), tmp_path / "file" / "code"))
    assert repository.state() == before


@KINDS
def test_changes_that_do_not_apply_are_told_and_nothing_is_left(changed, tmp_path, kind):
    snapshot = take_snapshot(changed.root)
    changed.git("add", "--all")  # git stashes no file that is only intended to be added
    changed.git("stash", "push", "--include-untracked")
    changed.write("train.py", "quite another\n")
    changed.commit()
    before = changed.state()
    moved = replace(take_snapshot(changed.root), patch=snapshot.patch)
    message = refused(make(kind, changed, moved, tmp_path / "code"))
    assert "do not apply" in message
    assert "train.py" in message
    assert not (tmp_path / "code").exists()
    assert changed.state() == before


@KINDS
@pytest.mark.parametrize("name", ["../escaped", ".git/escaped"])
def test_a_patch_cannot_write_outside(repository, tmp_path, kind, name):
    snapshot = replace(take_snapshot(repository.root), patch=adding(name))
    refused(make(kind, repository, snapshot, tmp_path / "code"))
    assert not list(tmp_path.rglob("escaped"))


def test_a_patch_cannot_write_through_a_link(repository, tmp_path):
    (repository.root / "link").symlink_to(tmp_path)
    commit = repository.commit()
    refused(worktree(repository.root, commit, tmp_path / "code", adding("link/escaped")))
    assert not list(tmp_path.rglob("escaped"))


@KINDS
def test_a_patch_cannot_write_through_a_link_of_its_own(repository, tmp_path, kind):
    link = (
        f"diff --git a/to b/to\nnew file mode 120000\n--- /dev/null\n+++ b/to\n@@ -0,0 +1 @@\n+{tmp_path}\n"
    )
    patch = f"{link}\\ No newline at end of file\n".encode() + adding("to/escaped")
    refused(make(kind, repository, replace(take_snapshot(repository.root), patch=patch), tmp_path / "code"))
    assert not list(tmp_path.rglob("escaped"))


def test_unpacked_code_has_no_command_of_the_user_run_on_it(repository, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    settings = tmp_path / "settings"
    settings.write_text(f'[filter "own"]\nclean = touch {trace}; cat\nsmudge = touch {trace}; cat\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    files = [TreeFile(".gitattributes", b"* filter=own\n"), TreeFile("a.py", b"a = 1\n")]
    with unpacked(pack_tree(files), tmp_path / "code", adding("b.py")):
        pass
    assert not trace.exists()


def adding(name):
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    return f"{head}@@ -0,0 +1 @@\n+x\n".encode()


def test_a_zip_that_is_none_is_told(nobody, tmp_path):
    assert "cannot be read" in refused(unpacked(b"no zip", tmp_path / "code"))
    assert not (tmp_path / "code").exists()


def test_the_top_of_a_repository(repository, nobody, tmp_path):
    assert toplevel(repository.root / "sub dir") == repository.root
    assert toplevel(tmp_path) is None


def test_a_commit_is_known_by_its_full_hash(repository, tmp_path):
    commit = repository.git("rev-parse", "HEAD")
    assert knows_commit(repository.root / "sub dir", commit)
    assert not any(knows_commit(repository.root, other) for other in (None, "HEAD", "0" * 40))
    assert not knows_commit(tmp_path, commit)


@pytest.mark.parametrize("kind", ["worktree", "unpacked"])
def test_a_checkout_is_abandoned_when_its_process_is_dead(kind, repository, tmp_path, hold):
    repository.write("train.py", "print(1)\n")
    folder = tmp_path / "checkouts" / "one"
    process = hold(kind, repository, repository.commit(), folder)
    assert abandoned_checkouts(folder.parent) == []
    process.kill()
    process.wait()
    assert abandoned_checkouts(folder.parent) == [folder]
    remove_checkout(repository.root, folder)
    assert not folder.exists()
    assert str(folder) not in repository.git("worktree", "list")


def test_what_is_nobodys_checkout_is_abandoned_after_a_day_and_what_is_somebodys_never(repository, tmp_path):
    repository.write("train.py", "print(1)\n")
    repository.commit()
    folder = tmp_path / "checkouts"
    torn, moved, own, theirs = (folder / name for name in ("torn", "moved", "own", "theirs"))
    torn.mkdir(parents=True)
    moved.mkdir()
    (moved / ".git").write_text("gitdir: /nowhere/.git/worktrees/moved\n")
    repository.git("worktree", "add", "--quiet", "--detach", str(own))
    subprocess.run(["git", "init", "--quiet", str(theirs)], check=True)
    assert abandoned_checkouts(folder) == []
    for path in (torn, moved, own, theirs):
        os.utime(path, (time.time() - 90_000,) * 2)
    assert abandoned_checkouts(folder) == [moved, torn]
