"""The parts of a bundle that are not ours: code, packages, Python, and what its config reaches for."""

import hashlib
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runback.errors import InputError
from runback.provenance.bundle.manifest import shorten
from runback.provenance.code.git import GitError, git
from runback.provenance.code.patch import patched_files
from runback.provenance.code.tree_zip import LINK, TreeEntry, read_tree, tree_entries, tree_sums
from runback.provenance.code.working_tree import knows_commit
from runback.provenance.machine import lock_file
from runback.provenance.machine.environment import python
from runback.provenance.machine.locked_environment import refuse_version
from runback.runs import foreign_config
from runback.runs.schema import CODE, CONFIG, LOCK, PATCH, UNTRACKED, is_classifiers
from runback.runs.started.started_task import STARTED
from runback.runs.stored_run import StoredRun
from runback.sweeping.hydra_task import HydraTask
from runback.system.config import targets
from runback.system.text.listing import first_lines, listed
from runback.tracking.layout import Layout

NAMED = 4
"""Things of one kind that are named; the rest is counted."""

MAX_PYPROJECT = 2**20


@dataclass(frozen=True)
class ForeignPart:
    """One kind of thing that a bundle brings, and the lines that tell of it, as its maker wrote them."""

    kind: str
    lines: tuple[str, ...]


def foreign_parts(
    recorded: StoredRun,
    layout: Layout,
    task: HydraTask,
    *,
    in_place: bool,
    most: int = NAMED,
) -> list[ForeignPart]:
    """Return the parts of a bundle that are not ours and would be used; `in_place` that is its config alone.

    Nothing of it is run, imported or written for that. Of each kind of thing at most so many are named.
    Errors: InputError for what no answer could allow.
    """
    parts: list[tuple[str, Callable[[], Iterable[str]]]] = []
    if not in_place:
        code = _Code(recorded, layout, most)
        parts += [("code", code.commit), ("changes", code.changes), ("untracked", code.untracked)]
        parts += [("packages", code.packages), ("Python", code.python)]
    parts.append(("config", lambda: _config(recorded, layout, most, task, in_place=in_place)))
    parts.append(("command", lambda: _command(recorded, most)))
    brought = [ForeignPart(kind, tuple(lines())) for kind, lines in parts]
    return [one for one in brought if one.lines]


def is_code_ours(recorded: StoredRun, layout: Layout) -> bool:
    """Say whether all code of a run is in the user's own repository."""
    code = recorded.record["code"]
    return not (code["patch_sha256"] or code["untracked"]) and knows_commit(layout.root, code["commit"])


def is_lock_ours(recorded: StoredRun, layout: Layout) -> bool:
    """Say whether a run's lock file is, byte for byte, the project's now, or that of the run's commit."""
    code, lock = recorded.record["code"], recorded.optional(LOCK)
    if lock in (None, _read(layout.root / "uv.lock", lock_file.MAX_BYTES)):
        return True
    return knows_commit(layout.root, code["commit"]) and lock == _committed(recorded, layout, "uv.lock")


@dataclass(frozen=True)
class _Code:
    """The code of a bundle, and the environment that it is to run in."""

    recorded: StoredRun
    layout: Layout
    most: int

    def commit(self) -> Iterator[str]:
        commit = self.recorded.record["code"]["commit"]
        if knows_commit(self.layout.root, commit):
            return
        content = self.recorded.optional(CODE)
        if content is None:
            raise InputError(f"commit {commit} is unknown here, and the bundle has no {CODE}")
        entries = tree_entries(content)
        yield f"commit {commit} is unknown here: its {_files(entries)} are the bundle's"
        yield from self._conf()
        modules = _modules(read_tree(content, _within(self.recorded, "pyproject.toml"), MAX_PYPROJECT) or b"")
        if modules:
            yield f"its configs may call its modules {_listed(modules, self.most)}"

    def changes(self) -> Iterator[str]:
        if not self.recorded.record["code"]["patch_sha256"]:
            return
        files = patched_files(self.recorded.files.read(PATCH))
        added, removed = sum(one.added or 0 for one in files), sum(one.removed or 0 for one in files)
        yield f"{_count(len(files), 'file')} of the commit, +{added:,} -{removed:,} lines"
        yield from _each([f"{one.change} {one.path}" for one in files], self.most)

    def untracked(self) -> Iterator[str]:
        if not self.recorded.record["code"]["untracked"]:
            return
        entries = tree_entries(self.recorded.files.read(UNTRACKED))
        yield f"{_files(entries)} beside it"
        yield from _each([f"{_size(one)} {one.path}" for one in entries], self.most)

    def packages(self) -> Iterator[str]:
        lock = self.recorded.optional(LOCK)
        if lock is None or is_lock_ours(self.recorded, self.layout):
            return
        theirs = lock_file.read_lock(lock, self._usual())
        yield f"{_count(theirs.count, 'package')} of a uv.lock that is not yours"
        if theirs.elsewhere:
            yield f"from elsewhere than yours: {_listed(theirs.elsewhere, self.most)}"
        if theirs.unbuilt:
            yield f"to be built, by code of theirs, only with --build: {_listed(theirs.unbuilt, self.most)}"

    def python(self) -> Iterator[str]:
        version = self.recorded.record["python"]["version"]
        if self.recorded.optional(LOCK) is None or version == python()["version"]:
            return
        refuse_version(version)
        yield f"{version}: uv takes it from this machine, or downloads it"

    def _conf(self) -> Iterator[str]:
        """Tell how many files of `conf/` are not as they are here."""
        prefix = _within(self.recorded, "conf/")
        theirs = tree_sums(self.recorded.files.read(CODE), prefix)
        ours = {f"{prefix}{name}": sum_ for name, sum_ in _sums(self.layout.root / "conf").items()}
        other = [name for name, sum_ in theirs.items() if ours.get(name) != sum_]
        if other:
            yield f"{len(other):,} of its {_count(len(theirs), 'file')} in conf/ are not as here"

    def _usual(self) -> frozenset[str]:
        """Return the registries in use here, and the hosts of their files."""
        own = _read(self.layout.root / "uv.lock", lock_file.MAX_BYTES)
        return lock_file.USUAL | (lock_file.read_lock(own).places if own else frozenset())


def _config(
    recorded: StoredRun, layout: Layout, most: int, task: HydraTask, *, in_place: bool
) -> Iterator[str]:
    reach = foreign_config.reach(recorded.config, f"{CONFIG} of run {recorded.id}")
    declared = targets.declared_modules(layout.root) if in_place else _declared(recorded, layout)
    if task.check_parts is not None and is_classifiers(recorded.record):
        task.check_parts(recorded.config, f"{CONFIG} of run {recorded.id}", declared)
    for what, pairs in (
        ("reads of the environment", reach.variables),
        ("reads outside the working folder", reach.paths),
        ("calls", reach.calls),
    ):
        if pairs:
            yield f"{what}: {_listed([f'{name} ({key})' for name, key in pairs], most)}"


def _command(recorded: StoredRun, most: int) -> Iterator[str]:
    """Tell what is started: a task's function, or a script with its arguments, one a line."""
    task = recorded.record.get("task")
    if task is None or is_classifiers(recorded.record):
        return
    place = task.get("script") or task.get("module") or "nothing"
    if STARTED not in task:
        yield f"calls {task.get('name')} of {place}"
        return
    yield f"starts {place} with {_count(len(recorded.overrides), 'argument')}"
    yield from _each(recorded.overrides, most)


def _declared(recorded: StoredRun, layout: Layout) -> tuple[str, ...] | None:
    """Return the modules that the run's own pyproject.toml lets configs name; None where that was changed."""
    code, path = recorded.record["code"], _within(recorded, "pyproject.toml")
    changed = (
        {one.path for one in patched_files(recorded.files.read(PATCH))} if code["patch_sha256"] else set()
    )
    if code["untracked"]:
        changed |= {one.path for one in tree_entries(recorded.files.read(UNTRACKED))}
    if path in changed:
        return None
    if knows_commit(layout.root, code["commit"]):
        return _modules(_committed(recorded, layout, "pyproject.toml"))
    return _modules(read_tree(recorded.files.read(CODE), path, MAX_PYPROJECT))


def _modules(pyproject: bytes | None) -> tuple[str, ...]:
    """Return the modules that a pyproject.toml declares, none where it is no such file."""
    try:
        facts = tomllib.loads((pyproject or b"").decode())
        return tuple(str(name) for name in facts["tool"]["runback"]["modules"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()


def _within(recorded: StoredRun, name: str) -> str:
    """Return the path in the repository of a file of the project."""
    project = recorded.record["code"]["project"] or "."
    return name if project == "." else f"{project}/{name}"


def _committed(recorded: StoredRun, layout: Layout, name: str) -> bytes | None:
    """Return a file of the project at a run's commit, which the user's repository knows."""
    commit = recorded.record["code"]["commit"]
    try:
        return git(layout.root, "cat-file", "blob", f"{commit}:{_within(recorded, name)}")
    except GitError:
        return None


def _read(file: Path, most: int) -> bytes | None:
    """Return a file of the user's; None where there is none of at most so many bytes."""
    return file.read_bytes() if file.is_file() and file.stat().st_size <= most else None


def _sums(folder: Path) -> dict[str, str]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


def _files(entries: Sequence[TreeEntry]) -> str:
    links = sum(one.mode == LINK for one in entries)
    text = f"{_count(len(entries), 'file')}, {sum(one.size for one in entries):,} bytes"
    return f"{text}, {_count(links, 'link')}" if links else text


def _size(entry: TreeEntry) -> str:
    return f"link to {entry.target}:" if entry.mode == LINK else f"{entry.size:,} bytes"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _each(lines: Sequence[str], most: int) -> Iterator[str]:
    yield from (f"  {line}" for line in first_lines(lines, most))


def _listed(names: Sequence[str], most: int) -> str:
    return listed([shorten(name) for name in names], most)
