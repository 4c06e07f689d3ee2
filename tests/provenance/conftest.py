"""A git repository in a temporary folder, made with git itself and nobody's own settings."""

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

WHO = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always")


@dataclass(frozen=True)
class Repository:
    """A repository, driven as a person would."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Run git here and return what it printed, without the newline at its end."""
        return self.raw(*arguments).decode().strip()

    def raw(self, *arguments: str) -> bytes:
        command = ["git", "-C", str(self.root), *WHO, *arguments]
        environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        return subprocess.run(command, check=True, capture_output=True, env=environment).stdout

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file, and the folders above it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def commit(self, message: str = "A change") -> str:
        """Commit everything and return the commit's hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def state(self) -> dict[str, object]:
        """Return what must stay as it is: the index byte for byte, status, refs, worktrees, files."""
        index = self.root / ".git" / "index"
        return {
            "index": hashlib.sha256(index.read_bytes()).hexdigest(),
            "status": self.raw("status", "--porcelain=v2", "--branch", "--show-stash", "--ignored", "-z"),
            "refs": self.raw("for-each-ref"),
            "head": (self.root / ".git" / "HEAD").read_bytes(),
            "config": (self.root / ".git" / "config").read_bytes(),
            "branches": self.raw("branch", "--all", "--verbose"),
            "stashes": self.raw("stash", "list"),
            "worktrees": self.raw("worktree", "list", "--porcelain"),
            "files": files_of(self.root),
        }


def files_of(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Return kind and content of every file below a folder, but for git's own."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git" or (path.is_dir() and not path.is_symlink()):
            continue
        if path.is_symlink():
            found[name] = ("link", os.fsencode(os.readlink(path)))  # noqa: PTH115 - exactly what it says
        else:
            kind = "executable" if os.access(path, os.X_OK) and path.stat().st_mode & 0o100 else "file"
            found[name] = (kind, path.read_bytes())
    return found


@pytest.fixture
def contents():
    """The function that says kind and content of every file below a folder."""
    return files_of


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """Nobody's own git settings, and no repository above the temporary folder."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


@pytest.fixture
def empty(nobody, tmp_path):
    """A repository before its first commit."""
    repository = Repository(tmp_path / "a repository")
    repository.root.mkdir()
    repository.git("init", "--quiet", "--initial-branch=trunk")
    return repository


@pytest.fixture
def repository(empty):
    """A repository of one commit, with what makes git's work hard: every kind of file and of name."""
    empty.write("train.py", "a = 1\n\n\n\n\n\n\n\n\n\nb = 2\n")
    empty.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    empty.write('sub dir/ünï "quoted".py', "u = 1\n")
    empty.write("weights.bin", bytes(range(256)) * 4)
    empty.write("old.py", "".join(f"line {number}\n" for number in range(50)))
    empty.write("gone.py", "gone = True\n")
    (empty.root / "link.py").symlink_to("train.py")
    empty.write(".gitignore", "ignored/\n")
    empty.commit("First")
    return empty


@pytest.fixture
def changed(repository):
    """The same with every kind of change to tracked files, and untracked files."""
    repository.write("train.py", "a = 2\n\n\n\n\n\n\n\n\n\nb = 3\n")
    repository.write('sub dir/ünï "quoted".py', "u = 2  \n\ttab\r\n")
    repository.write("weights.bin", bytes(reversed(range(256))) * 4 + b"\0more")
    repository.git("mv", "old.py", "sub dir/new name.py")
    (repository.root / "gone.py").unlink()
    (repository.root / "run.sh").chmod(0o644)
    (repository.root / "train.py").chmod(0o755)
    repository.write("staged.py", "staged = True\n")
    repository.write("empty.py", "")
    repository.git("add", "staged.py", "empty.py")
    repository.write("staged.py", "staged = 'and changed again'\n")
    repository.write("kept.py", "kept = 1\n")
    repository.git("add", "--intent-to-add", "kept.py")
    (repository.root / "link.py").unlink()
    (repository.root / "link.py").symlink_to("run.sh")
    repository.write("untracked.py", "x = 1\n")
    repository.write("notes/ä b\nc.txt", "\r\nno newline at the end")
    repository.write("notes/tool", "#!/bin/sh\n").chmod(0o755)
    repository.write("notes/nothing", "")
    (repository.root / "notes" / "up").symlink_to("../train.py")
    repository.write("ignored/data.npy", "not code")
    return repository
