"""A commit's files as a zip, every one of them and as git holds it."""

import os
import tempfile
from pathlib import Path

from runback.errors import InputError
from runback.provenance.code.git import GitError, git
from runback.provenance.code.working_tree import check_repository, knows_commit

TIMEOUT = 600.0
"""Seconds for git to read a commit; a large one lies in large packs."""

ATTRIBUTES = "* -export-ignore -export-subst -filter\n"
"""Attributes that would leave files out of an archive, rewrite them, or fetch them from elsewhere."""


def commit_zip(repository: Path, commit: str) -> bytes:
    """Return a zip of all files of a commit, as `unpacked` takes it. Changes nothing in the repository.

    `git archive` obeys a project's `export-ignore` and `export-subst`, which would make another tree. Only
    a repository's own attributes can overrule that, so an empty repository that borrows the objects does
    the work. Files kept outside git (LFS) are their pointers. Raises InputError.
    """
    check_repository(repository)
    if not knows_commit(repository, commit):
        raise InputError(f"commit {commit[:12]} is unknown to {repository}: its code cannot be packed")
    try:
        objects = os.fsdecode(git(repository, "rev-parse", "--path-format=absolute", "--git-path", "objects"))
        with tempfile.TemporaryDirectory(prefix="runback-") as folder:
            bare = Path(folder)
            git(bare, "init", "--quiet", "--bare", "--template=")
            for name, text in (("info/attributes", ATTRIBUTES), ("objects/info/alternates", objects)):
                (bare / name).parent.mkdir(exist_ok=True)
                (bare / name).write_bytes(os.fsencode(text))
            archive = ("-c", "core.autocrlf=false", "archive", "--format=zip", commit)
            return git(bare, *archive, timeout=TIMEOUT)
    except GitError as error:
        raise InputError(f"cannot pack commit {commit[:12]} of {repository}: {error}") from error
