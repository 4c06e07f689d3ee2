"""Which code a run was made with, as git knows it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

TIMEOUT = 30.0
"""Seconds that git gets; `git status` reads every tracked file's date."""


@dataclass(frozen=True)
class GitState:
    """The state of a working tree. Outside a repository, before its first commit, or without git: no commit.

    `commit` is the full hash; `branch` is None on a detached head; `dirty` means that tracked files differ
    from the commit or untracked ones exist that are not ignored; `remote` is origin's URL without user and
    password.
    """

    commit: str | None = None
    branch: str | None = None
    dirty: bool = False
    remote: str | None = None


def git_state(root: Path) -> GitState:
    """Return the state of the working tree that holds the folder `root`. Changes nothing there."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return GitState()
    branch = _git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    changes = _git(root, "status", "--porcelain")
    remote = _git(root, "config", "--get", "remote.origin.url")
    return GitState(commit, branch or None, bool(changes), without_credentials(remote) if remote else None)


def without_credentials(url: str) -> str:
    """Return a remote's URL without user, password, query and fragment.

    The scp-like form of git, `git@host:path`, holds no password and stays as it is.
    """
    parts = urlsplit(url)
    if not parts.scheme or not parts.netloc:
        return url
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, None where it fails, is not installed, or takes too long."""
    # Without this, `git status` rewrites the index, which another git process may hold.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - arguments from this module only
            ["git", "-C", str(root), *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            check=True,
            env=environment,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
