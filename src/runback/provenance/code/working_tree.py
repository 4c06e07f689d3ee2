"""The code of a recorded run in a folder of its own, while the user's checkout stays as it is."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from runback.errors import InputError
from runback.provenance.code.git import GitError, git
from runback.provenance.code.tree_zip import unpack_tree
from runback.system.files.process_owner import is_abandoned, this_process
from runback.system.files.regular_file import read_regular

TIMEOUT = 600.0
"""Seconds for git to write all files of a commit."""

COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
"""A full hash, SHA-1 or SHA-256: anything else could be an option to git."""

UNMARKED = 86_400.0
"""Seconds after which a checkout without a mark is nobody's: it is marked as soon as it is made."""

OWNER = "runback"
"""The file in `.git` of an unpacked tree that says which process made it."""

ATTRIBUTES = "* -filter\n"
"""Attributes above those of unpacked code, which could have commands of the user's run on it."""

NOBODY = {
    **dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "runback"),
    **dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "runback@localhost"),
    **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2000-01-01T00:00:00+0000"),
}
"""The author and time of an unpacked tree's commit: the same tree always becomes the same commit."""


def toplevel(folder: Path) -> Path | None:
    """Return the top folder of the git working tree that holds `folder`, None outside of one."""
    try:
        return Path(os.fsdecode(git(folder, "rev-parse", "--show-toplevel")).removesuffix("\n"))
    except GitError:
        return None


def knows_commit(repository: Path, commit: str | None) -> bool:
    """Say whether a repository has this commit, given by its full hash; False where there is none."""
    if commit is None or not COMMIT.fullmatch(commit):
        return False
    try:
        # A clone that lacks some objects by choice would ask its remote for a commit that nobody has.
        git(repository, "cat-file", "-e", f"{commit}^{{commit}}", variables={"GIT_NO_LAZY_FETCH": "1"})
    except GitError:
        return False
    return True


@contextmanager
def worktree(
    repository: Path, commit: str, folder: Path, patch: bytes = b"", untracked_zip: bytes | None = None
) -> Iterator[Path]:
    """Give `folder` with a commit's files, changed by `patch`, and the untracked files; remove it at the end.

    It is a git worktree of `repository`: no file, index, branch or stash of the user's checkout changes.
    `folder` must not exist, or be empty. Worktrees of processes that were killed are removed first. Raises
    InputError where the repository is gone, does not know the commit, or the code cannot be put together.
    """
    check_repository(repository)
    _check_commit(repository, commit)
    remove_abandoned_worktrees(repository, folder.parent)
    _check_free(folder)
    try:
        _add_worktree(repository, commit, folder)
        _complete(folder, commit, patch, untracked_zip)
        yield folder
    finally:
        remove_checkout(repository, folder)


@contextmanager
def unpacked(
    archive_zip: bytes,
    folder: Path,
    patch: bytes = b"",
    untracked_zip: bytes | None = None,
    *,
    tree: str | None = None,
) -> Iterator[Path]:
    """Give `folder` with a packed commit's files (of `commit_zip`), as `worktree` does, without a repository.

    The folder becomes a repository of one commit, whose tree is the recorded one; where `tree` is given, that
    is checked. Folders beside it that killed processes unpacked are removed first. Raises InputError.
    """
    _remove_abandoned_beside(folder)
    _check_free(folder)
    try:
        _init(folder)
        unpack_tree(archive_zip, folder)
        found = _commit_all(folder)
        if tree is not None and found != tree:
            raise InputError(f"the packed code is not the run's: expected git tree {tree}, got {found}")
        _complete(folder, "packed", patch, untracked_zip)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned_worktrees(repository: Path, within: Path) -> None:
    """Remove the worktrees of `repository` that `worktree` made in a folder for processes now gone.

    Elsewhere nothing is removed: anybody who has written to the repository can have named any folder there.
    """
    try:
        listed = os.fsdecode(git(repository, "worktree", "list", "--porcelain"))
    except GitError:
        return
    for entry in listed.split("\n\n"):
        lines = entry.splitlines()
        locked = next((line.removeprefix("locked ") for line in lines if line.startswith("locked ")), "")
        folder = Path(lines[0].removeprefix("worktree ")) if lines else within
        if is_abandoned(locked) and folder.parent.resolve() == within.resolve() and not folder.is_symlink():
            remove_checkout(repository, folder)


def abandoned_checkouts(folder: Path) -> list[Path]:
    """Return what `worktree` and `unpacked` made in `folder` for processes which no longer run.

    So are, after a day, folders that a process was killed before it had marked, and worktrees whose
    repository is gone. Others' worktrees and repositories are not.
    """
    found = []
    for path in sorted(folder.glob("*")):
        if path.is_symlink():  # nobody made that here
            continue
        mark = _mark(path)
        if is_abandoned(mark) if mark is not None else _age(path) > UNMARKED:
            found.append(path)
    return found


def remove_checkout(repository: Path, folder: Path) -> None:
    """Remove a worktree of `repository`, or what is left of one, or an unpacked tree."""
    # Twice `--force`: the worktree has changes, and it is locked.
    remove = ("worktree", "remove", "--force", "--force", str(folder.absolute()))
    with suppress(GitError):
        git(repository, *remove, timeout=TIMEOUT)
    if folder.exists():
        # Git removes no worktree that is torn; it only forgets one that is gone.
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(GitError):
            git(repository, *remove)


def _mark(folder: Path) -> str | None:
    """Return what tells whose a checkout is; None where it is no repository, or none any more."""
    git_folder = folder / ".git"
    try:
        if git_folder.is_dir():
            mark = git_folder / OWNER
        else:
            administered = Path(read_regular(git_folder).decode().removeprefix("gitdir:").strip())
            administered.stat()
            mark = administered / "locked"
        return read_regular(mark).decode() if mark.exists() else ""
    except (OSError, UnicodeDecodeError):
        return None


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def check_repository(repository: Path) -> None:
    """Raise InputError where git cannot read the repository that holds a folder, or there is none."""
    try:
        git(repository, "rev-parse", "--git-dir")
    except GitError as error:
        is_gone = "not a git repository" in str(error) or not repository.is_dir()
        what = "is not in a git repository (any more)" if is_gone else "is in a repository that git refuses"
        raise InputError(
            f"{repository} {what}, which the run's commit would come from: {error}; "
            "or reproduce from an exported bundle"
        ) from error


def _check_commit(repository: Path, commit: str) -> None:
    if not COMMIT.fullmatch(commit):
        raise InputError(f"expected a full commit hash; got {commit!r}")
    if not knows_commit(repository, commit):
        raise InputError(
            f"commit {commit[:12]} is unknown to {repository}: `git fetch` the branch it is on, "
            "or reproduce from an exported bundle"
        )


def _check_free(folder: Path) -> None:
    try:
        if not os.path.lexists(folder) or not any(folder.iterdir()):
            return
        problem = "it is not empty"
    except OSError as error:
        problem = error.strerror or str(error)
    raise InputError(f"the code cannot be put into {folder}: {problem}")


def _add_worktree(repository: Path, commit: str, folder: Path) -> None:
    # The reason for the lock is on the disk before the first file is: it tells leftovers from others' trees.
    options = ("--detach", "--no-guess-remote", "--lock", "--reason", this_process())
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        git(repository, "worktree", "add", *options, str(folder.absolute()), commit, timeout=TIMEOUT)
    except (GitError, OSError) as error:
        raise InputError(f"cannot make a worktree of commit {commit[:12]} in {folder}: {error}") from error


def _complete(folder: Path, commit: str, patch: bytes, untracked_zip: bytes | None) -> None:
    if patch:
        # Into the index too, where new files are tracked as they were.
        apply = ("apply", "--index", "--binary", "--whitespace=nowarn", "--no-ignore-whitespace", "-p1")
        try:
            git(folder, *apply, "-", stdin=patch, timeout=TIMEOUT)
        except GitError as error:
            raise InputError(
                f"the recorded changes do not apply to the {commit[:12]} commit: {error}"
            ) from error
    if untracked_zip:
        unpack_tree(untracked_zip, folder)


def _init(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "-c", "init.defaultBranch=recorded", "init", "--quiet", "--template=")
        git(folder, "config", "core.autocrlf", "false")
        (folder / ".git" / OWNER).write_text(this_process())
        (folder / ".git" / "info").mkdir(exist_ok=True)
        (folder / ".git" / "info" / "attributes").write_text(ATTRIBUTES)
    except (GitError, OSError) as error:
        raise InputError(f"the code cannot be put into {folder}: {error}") from error


def _commit_all(folder: Path) -> str:
    """Commit all files, ignored ones included, and return the tree's hash."""
    commit = ("commit", "--quiet", "--allow-empty", "--no-verify", "--no-gpg-sign", "--message=Recorded code")
    try:
        git(folder, "add", "--all", "--force", ".", timeout=TIMEOUT)
        git(folder, *commit, variables=NOBODY, timeout=TIMEOUT)
        return git(folder, "rev-parse", "HEAD^{tree}").decode().strip()
    except GitError as error:
        raise InputError(f"the code in {folder} cannot be committed: {error}") from error


def _remove_abandoned_beside(folder: Path) -> None:
    for mark in folder.parent.glob(f"*/.git/{OWNER}"):
        with suppress(OSError, UnicodeDecodeError):
            if is_abandoned(read_regular(mark).decode()):
                shutil.rmtree(mark.parent.parent, ignore_errors=True)
