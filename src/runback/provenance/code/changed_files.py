"""Lists the files that two commits differ in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runback.provenance.code.git import GitError, git
from runback.provenance.comparing.difference import Difference, differences

SHOWN = 20
"""Files that are named; the rest is counted."""


def code_differences(then: Mapping[str, Any], now: Mapping[str, Any], root: Path) -> list[Difference]:
    """Return what differs in the code of two records, by file where the repository at `root` can tell."""
    found = []
    for one in differences({"code": then["code"]}, {"code": now["code"]}):
        found.append(one)
        if one.what == "commit":
            files = changed_files(root, then["code"]["commit"], now["code"]["commit"])
            found += [Difference("code", path, "", lines) for path, lines in files[:SHOWN]]
            if len(files) > SHOWN:
                found.append(Difference("code", f"and {len(files) - SHOWN:,} more files", "", ""))
    return found


def changed_files(root: Path, first: str | None, second: str | None) -> list[tuple[str, str]]:
    """Return the path of each file that differs between two commits, and its changed lines as `+3 -1`.

    Nothing where the repository that holds `root` does not know both commits.
    """
    if first is None or second is None:
        return []
    try:
        output = git(root, "diff", "--numstat", "--no-renames", "-z", first, second, "--").decode(
            "utf-8", "replace"
        )
    except GitError:
        return []
    rows = [line.split("\t", 2) for line in output.split("\0") if line]
    return [(path, "binary" if added == "-" else f"+{added} -{removed}") for added, removed, path in rows]
