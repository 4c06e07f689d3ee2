"""Asks git, and gets the same answer whatever its user has configured."""

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

TIMEOUT = 30.0
"""Seconds that git gets; `git diff` reads every tracked file's date."""

SETTINGS = {
    "core.quotepath": "false",  # names as they are, not "\303\274.py"
    "core.fsmonitor": "false",  # starts no daemon and no hook
    "core.hooksPath": os.devnull,
    "core.protectHFS": "true",  # no `.git` in a spelling that only some filesystem takes for it
    "core.protectNTFS": "true",
    "color.ui": "false",
    "diff.autoRefreshIndex": "false",  # or `git diff` rewrites the index, whatever GIT_OPTIONAL_LOCKS says
    "diff.relative": "false",
    "diff.suppressBlankEmpty": "false",
}
"""Replaces the user's own settings, which would change what git prints or does."""

REFUSED = re.compile(r"dubious ownership in repository at '(.+)'")
"""Git's words for a repository of another user, and its folder."""

KEPT = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")


class GitError(Exception):
    """Git is not installed, failed, or took too long; one line. It never leaves runback.provenance."""


def git(
    folder: Path,
    *arguments: str,
    stdin: bytes = b"",
    timeout: float = TIMEOUT,
    variables: Mapping[str, str] | None = None,
) -> bytes:
    """Return what git prints when it runs in `folder`. Raises GitError with the first line of its message.

    The folder decides which repository is asked: a GIT_DIR or GIT_INDEX_FILE in the environment, as git sets
    for its hooks, does not.
    """
    settings = [part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}")]
    try:
        done = subprocess.run(  # noqa: S603 - arguments from this package only
            ["git", "-C", str(folder), *settings, *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            env=_environment() | dict(variables or {}),
            input=stdin,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {arguments[0]} took more than {timeout:g} s") from error
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    if done.returncode:
        raise GitError(_message(done.stderr) or f"git {arguments[0]} failed")
    return done.stdout


def _environment() -> dict[str, str]:
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith("GIT_CONFIG_") or name in KEPT
    }
    # Without the first, git may rewrite the index, which another process may hold, to note files' dates.
    return variables | {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _message(stderr: bytes) -> str:
    """Return the line that says what went wrong: the first `fatal:` or `error:`, or else the first line.

    Where git refuses to read somebody else's repository, that line has the command that allows it.
    """
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    for line in lines:
        kind, _, text = line.partition(": ")
        if kind in ("fatal", "error"):
            refused = REFUSED.search(text)
            allow = "" if refused is None else f"; to let git read it: {allowing(refused[1])}"
            return f"{text}{allow}"
    return lines[0] if lines else ""


def allowing(folder: str) -> str:
    """Return the command that lets git read a repository that another user owns."""
    return shlex.join(["git", "config", "--global", "--add", "safe.directory", folder])
