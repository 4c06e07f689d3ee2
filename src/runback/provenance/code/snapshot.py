"""The code of a run: a commit, what differs from it, and the files that git does not know."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired, TypedDict

from runback.provenance.code.git import REFUSED, GitError, git
from runback.provenance.code.tree_zip import TreeFile, pack_tree
from runback.provenance.code.untracked import LeftOut, left_out_secret, read_untracked
from runback.system.secrecy import secret_file, without_credentials
from runback.system.secrecy.secret_files import secret_content
from runback.system.text.escape import for_terminal
from runback.system.text.listing import listed

LIMIT = 10 * 2**20
"""Bytes of untracked files that a record takes in all."""

DIFF = (
    *("diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames"),
    *("--src-prefix=a/", "--dst-prefix=b/", f"-O{os.devnull}", "--ignore-submodules=dirty"),
)
PATCH = (
    *("--binary", "--full-index", "--unified=3", "--inter-hunk-context=0"),
    *("--diff-algorithm=myers", "--indent-heuristic", "--submodule=short"),
)
"""A diff that depends on the files alone: the same changes have the same hash under any user's settings."""

UNTRACKED = (
    *("ls-files", "--others", "--exclude-standard", "--full-name", "-z"),
    *("--exclude=__pycache__/", "--exclude=*.py[co]", "--exclude=*.egg-info/"),
)
"""Files of Python and installers beside the code are no code, also where no .gitignore says so."""

HYDRA_OUTPUT = re.compile(
    r"(^|/)((outputs|multirun)/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d/|\.hydra/(config|hydra|overrides)\.yaml$)"
)
"""Untracked paths that Hydra writes by itself, other ones in each run: they are no code."""

STATUS = (
    *("status", "--porcelain=v2", "-z", "--branch", "--no-ahead-behind", "--no-renames"),
    *("--untracked-files=all", "--ignore-submodules=dirty"),
)
FIELDS_BEFORE_PATH = {"1": 8, "u": 10, "?": 1}
"""Fields of an entry of `git status --porcelain=v2`, by its first character (git-status(1))."""

SHOWN = 5
"""Files that a warning names."""


class LeftOutFile(TypedDict):
    """A file that a record lacks, and why."""

    path: str
    bytes: NotRequired[int]
    reason: str


class SnapshotRecord(TypedDict):
    """The code in a run's record: a commit, and the sums of what differs from it.

    Hashes are None outside a repository.
    """

    commit: str | None
    tree: str | None
    branch: NotRequired[str | None]
    remote: NotRequired[str | None]
    dirty: NotRequired[bool]
    patch_sha256: str | None
    untracked: dict[str, str]
    """The SHA-256 of each file, by its path."""
    left_out: list[LeftOutFile]


@dataclass(frozen=True)
class Snapshot:
    """The code in a working tree. Outside a repository, before its first commit, or without git: empty.

    `commit` and `tree` are full hashes (a tree's is the same in every clone); `branch` is None on a detached
    head; `remote` is origin's URL without user and password. `patch` turns the commit's files into the
    tracked ones as they were (empty: they were the same); `untracked` has the content of the files that git
    neither tracks nor ignores, `modes` their modes as git writes them.
    """

    commit: str | None = None
    tree: str | None = None
    branch: str | None = None
    remote: str | None = None
    patch: bytes = b""
    untracked: Mapping[str, bytes] = field(default_factory=dict)
    modes: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    missing: str | None = field(default=None, compare=False)
    """Why there is no commit; None where there is one."""

    @property
    def dirty(self) -> bool:
        """Whether there were changes or untracked files, including those left out."""
        return bool(self.patch or self.untracked or self.left_out)

    @property
    def warning(self) -> str | None:
        """One line that names what was left out, None where nothing was."""
        if not self.left_out:
            return None
        names = [f"{for_terminal(one.path)} ({one.reason})" for one in self.left_out]
        return f"the record of the code leaves out {listed(names, SHOWN)}"

    def as_dict(self) -> SnapshotRecord:
        """Return the record of the code; the changes themselves are files beside it."""
        return {
            "commit": self.commit,
            "tree": self.tree,
            "branch": self.branch,
            "remote": self.remote,
            "dirty": self.dirty,
            "patch_sha256": hashlib.sha256(self.patch).hexdigest() if self.patch else None,
            "untracked": {p: hashlib.sha256(content).hexdigest() for p, content in self.untracked.items()},
            "left_out": [
                {"path": one.path, "bytes": one.bytes, "reason": one.reason} for one in self.left_out
            ],
        }

    def untracked_zip(self) -> bytes:
        """Return the untracked files as a zip, the same bytes for the same files; b"" without any."""
        files = [TreeFile(path, content, self.modes[path]) for path, content in self.untracked.items()]
        return pack_tree(files) if files else b""


def take_snapshot(root: Path, *, limit: int = LIMIT) -> Snapshot:
    """Return the code in the whole repository that holds the folder `root`. Changes nothing there.

    `limit` is how many bytes of untracked files are taken in all. Files whose names say that they hold
    secrets are never read. The folder `mlruns` in `root` is no code, and neither is what
    Hydra writes into its folders `outputs` and `multirun`.
    """
    query = ("rev-parse", "--show-toplevel", "HEAD^{commit}", "HEAD^{tree}", "--symbolic-full-name", "HEAD")
    try:
        *top_lines, commit, tree, head = os.fsdecode(git(root, *query)).splitlines()
    except GitError as error:
        # Elsewhere there is no code to record; here git refuses to look at it, which its user must know.
        refused = (LeftOut("the repository", 0, str(error)),) if REFUSED.search(str(error)) else ()
        return Snapshot(left_out=refused, missing=_missing(root, str(error)))
    top = Path("\n".join(top_lines))
    patch, hidden = _changes(root, top)
    files, out = _untracked(root, top, limit)
    return Snapshot(
        commit=commit,
        tree=tree,
        branch=head.removeprefix("refs/heads/") if head != "HEAD" else None,
        remote=_remote(root),
        patch=patch,
        untracked={file.path: file.content for file in files},
        modes={file.path: file.mode for file in files},
        left_out=(*hidden, *out),
    )


def _missing(root: Path, answer: str) -> str:
    """Say why there is no commit, by what git answers."""
    if "not a git repository" in answer:
        return f"{root} is in no git repository"
    if "unknown revision" in answer:
        return f"the git repository of {root} has no commit yet"
    return answer


def tree_state(root: Path, top: Path) -> tuple[object, ...]:
    """Return what equals an earlier one as long as a snapshot would: it takes one look of git, not five.

    `top` is the top folder of the repository. What is changed or untracked is known by date and size, as git
    itself knows it; origin's URL is left out.
    """
    try:
        lines = _names(git(root, *STATUS, "--", ":/", ":(exclude,literal)mlruns"))
    except GitError as error:
        return (str(error),)
    lines = [line for line in lines if not (line.startswith("? ") and HYDRA_OUTPUT.search(line[2:]))]
    fields = ((line, FIELDS_BEFORE_PATH.get(line[0])) for line in lines)
    paths = [line.split(" ", count)[count] for line, count in fields if count is not None]
    return (*lines, *(_identity(top / path) for path in paths))


def _identity(path: Path) -> tuple[int, ...]:
    try:
        found = path.lstat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns


def _changes(root: Path, top: Path) -> tuple[bytes, tuple[LeftOut, ...]]:
    """Return how tracked files differ from the commit, and those left out for their names."""
    everything = (":/", ":(exclude,literal)mlruns")
    try:
        # Not --name-only, which also lists files whose date alone has changed.
        lines = _names(git(root, *DIFF, "--numstat", "-z", "--", *everything))
        if not lines:
            return b"", ()
        names = [line.split("\t", 2)[2] for line in lines]
        hidden = [left_out_secret(top, name) for name in names if secret_file(name)]
        patch = _patch(root, everything, hidden)
        if secret_content(patch, "changes.patch") is not None:
            hidden_paths = {one.path for one in hidden}
            hidden += _with_secrets(root, top, [name for name in names if name not in hidden_paths])
            patch = _patch(root, everything, hidden)
    except GitError as error:
        return b"", (LeftOut("changes of tracked files", 0, str(error)),)
    return patch, tuple(hidden)


def _patch(root: Path, everything: tuple[str, ...], hidden: Sequence[LeftOut]) -> bytes:
    rest = [f":(exclude,top,literal){one.path}" for one in hidden]
    return git(root, *DIFF, *PATCH, "--", *everything, *rest)


def _with_secrets(root: Path, top: Path, names: Sequence[str]) -> list[LeftOut]:
    """Return the tracked files whose changes hold what looks like a secret."""
    found = []
    for name in names:
        change = git(root, *DIFF, *PATCH, "--", f":(top,literal){name}")
        secret = secret_content(change, name)
        if secret is not None:
            found.append(left_out_secret(top, name, f"its change: {secret}"))
    return found


def _untracked(root: Path, top: Path, limit: int) -> tuple[tuple[TreeFile, ...], tuple[LeftOut, ...]]:
    try:
        names = _names(git(root, *UNTRACKED, "--", ":/", ":(exclude,literal)mlruns"))
    except GitError as error:
        return (), (LeftOut("untracked files", 0, str(error)),)
    return read_untracked(top, [name for name in names if not HYDRA_OUTPUT.search(name)], limit)


def _remote(root: Path) -> str | None:
    try:
        url = git(root, "config", "--get", "remote.origin.url").decode("utf-8", "replace").strip()
    except GitError:
        return None
    return without_credentials(url)


def _names(output: bytes) -> list[str]:
    return [os.fsdecode(name) for name in output.split(b"\0") if name]
