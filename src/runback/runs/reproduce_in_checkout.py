"""Reproduces a run whose code is not the code here: in a working tree and with packages of its own."""

import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from runback.errors import InputError, TrainingError
from runback.provenance.code.tree_zip import tree_entries, tree_files
from runback.provenance.code.working_tree import knows_commit, toplevel, unpacked, worktree
from runback.provenance.machine.locked_environment import Terms, locked_python
from runback.runs.foreign_code import is_code_ours, is_lock_ours
from runback.runs.schema import CODE, LOCK, PATCH, UNTRACKED
from runback.runs.stored_run import StoredRun
from runback.system.child_process import run_child
from runback.system.text.escape import for_terminal
from runback.system.text.screen import Screen
from runback.tracking.layout import MLRUNS_VARIABLE, ROOT_VARIABLE, Layout, folder_name

SHORT = 2**15
"""Bytes of changes that may fit on a screen."""

AGREED_VARIABLE = "RUNBACK_AGREED"
"""The environment variable by which a process is told the fingerprint of the bundle that was agreed to."""


def refuse_without_commit(recorded: StoredRun) -> None:
    """Raise InputError for a run whose code was in no repository."""
    if recorded.record["code"]["commit"] is None:
        raise InputError(f"the code of run {recorded.id} was not recorded: use --in-place")


def reproduce(
    recorded: StoredRun, layout: Layout, flags: Sequence[str], console: Screen, *, build: bool
) -> int:
    """Run `runback reproduce` with the run's own code and packages; return its exit code.

    `flags` are this command's other options; what a bundle brings was agreed to, and with `build` also that
    its packages run code to be installed. The user's checkout, its index and its environment stay as they
    are; everything new lies under mlruns/. Errors: InputError when that code cannot be had.
    """
    code = recorded.record["code"]
    for one in code["left_out"]:
        path = for_terminal(str(one.get("path")))
        console.print(f"not in the record, so not in the checkout: {path}", soft_wrap=True)
    console.print(f"training in a checkout of commit {code['commit']}", soft_wrap=True)
    with _checkout(recorded, layout) as folder:
        project = project_in(folder, code["project"])
        python = _python(project, recorded, layout, console, build=build)
        console.file.flush()
        command = [str(python), "-P", "-m", "runback", "reproduce", recorded.reference, "--in-place", *flags]
        variables = checkout_variables(project, folder, layout)
        if not recorded.is_own:
            variables[AGREED_VARIABLE] = recorded.fingerprint
        return run_in_checkout(command, _working_folder(recorded, layout, project), variables)


def is_short(recorded: StoredRun) -> bool:
    """Say whether the changes and the untracked files of a run may be few lines."""
    code = recorded.record["code"]
    size = len(recorded.files.read(PATCH)) if code["patch_sha256"] else 0
    untracked = tree_entries(recorded.files.read(UNTRACKED)) if code["untracked"] else []
    return size + sum(one.size for one in untracked) <= SHORT


def texts(recorded: StoredRun) -> Iterator[str]:
    """Yield the changes and the untracked files of a run, line by line, harmless to a terminal."""
    code = recorded.record["code"]
    if code["patch_sha256"]:
        yield from _lines(recorded.files.read(PATCH))
    if code["untracked"]:
        for entry, text in tree_files(recorded.files.read(UNTRACKED)):
            yield f"untracked file {for_terminal(entry.path)}"
            yield from (f"+{line}" for line in _lines(text))


@contextlib.contextmanager
def _checkout(recorded: StoredRun, layout: Layout) -> Iterator[Path]:
    """Give the folder with the run's code; it is gone afterwards."""
    code = recorded.record["code"]
    # Two reproductions of one run may go on at once.
    name = f"{folder_name(recorded.id, 'a run ID')[:12]}-{secrets.token_hex(3)}"
    folder = layout.inside(layout.checkouts / name, "the folder of a checkout")
    patch = recorded.files.read(PATCH) if code["patch_sha256"] else b""
    untracked = recorded.files.read(UNTRACKED) if code["untracked"] else None
    is_unknown = CODE in recorded.files.names and not knows_commit(layout.root, code["commit"])
    try:
        if is_unknown:
            made = unpacked(recorded.files.read(CODE), folder, patch, untracked, tree=code["tree"])
        else:
            made = worktree(layout.root, str(code["commit"]), folder, patch, untracked)
        with made:
            yield folder
    finally:
        with contextlib.suppress(OSError):  # another reproduction may be in there
            layout.checkouts.rmdir()


def project_in(folder: Path, within: str | None) -> Path:
    """Return the project's folder in a checkout. Errors: InputError where it has none there."""
    project = (folder / (within or ".")).resolve()
    if not project.is_relative_to(folder.resolve()) or not project.is_dir():
        raise InputError(f"the recorded code has no folder {within!r}, in which the project was")
    return project


def _python(project: Path, recorded: StoredRun, layout: Layout, console: Screen, *, build: bool) -> Path:
    """Return the Python that has the packages of the run's lock file; without one, this Python.

    A bundle's lock file is the one that was asked about, whatever else its code has in the place of it.
    """
    lock, file = recorded.optional(LOCK), project / "uv.lock"
    if lock is not None:
        _replace(file, lock)
    elif not recorded.is_own or not file.is_file():
        return Path(sys.executable)
    console.print("making its environment: uv sync --frozen", soft_wrap=True)
    record = recorded.record
    is_ours = recorded.is_own or (is_code_ours(recorded, layout) and is_lock_ours(recorded, layout))
    terms = None if is_ours else Terms(recorded.fingerprint, build=build)
    return locked_python(project, record["packages"], record["python"]["version"], layout.environments, terms)


def _replace(file: Path, content: bytes) -> None:
    """Give a file this content; a link in its place is removed, not followed."""
    if file.is_file() and not file.is_symlink() and file.read_bytes() == content:
        return
    try:
        file.unlink(missing_ok=True)
        with file.open("xb") as stream:
            stream.write(content)
    except OSError as error:
        raise InputError(f"the run's {file.name} cannot be written: {error.strerror}") from error


def _working_folder(recorded: StoredRun, layout: Layout, project: Path) -> Path:
    """Return where to train, which decides what a relative data.path means.

    That is where the user is, because images are seldom under version control; where they are, it is the
    same place in the checkout.
    """
    here = Path.cwd()
    path = OmegaConf.select(recorded.config, "data.path", throw_on_resolution_failure=False)
    if not isinstance(path, str) or path.startswith(("/", "~")) or not here.is_relative_to(layout.root):
        return here
    there = project / here.relative_to(layout.root)
    images, top = (there / path).resolve(), toplevel(project) or project
    left_out = [(top / str(one.get("path"))).resolve() for one in recorded.record["code"]["left_out"]]
    is_whole = not any(one.is_relative_to(images) or images.is_relative_to(one) for one in left_out)
    return there if is_whole and there.is_dir() and images.exists() else here


def checkout_variables(project: Path, folder: Path, layout: Layout) -> dict[str, str]:
    """Return the environment in which Python imports the project's modules from the checkout."""
    variables = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return variables | {
        ROOT_VARIABLE: str(project),
        MLRUNS_VARIABLE: str(layout.mlruns),
        "PYTHONPATH": os.pathsep.join(_search_path(project, folder, layout)),
    }


def _search_path(project: Path, folder: Path, layout: Layout) -> list[str]:
    """Return this process's folders to import from, those of the user's checkout replaced by the run's.

    They come before what an environment names, so that a package installed in place (`pip install -e`) is
    the run's too, whichever checkout an environment was last made for.
    """
    top = toplevel(layout.root) or layout.root
    inside = [Path(one).resolve() for one in sys.path if one]
    replaced = [folder / one.relative_to(top) for one in inside if one.is_relative_to(top)]
    given = [Path(one) for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one]
    outside = [one for one in given if not one.resolve().is_relative_to(top)]
    own = [one for one in (project, project / "src", *replaced) if one.is_dir()]
    return [str(one) for one in dict.fromkeys([*own, *outside])]


def run_in_checkout(command: Sequence[str], folder: Path, variables: dict[str, str]) -> int:
    """Run a command to its end; return its exit code. Errors: TrainingError where a signal has ended it."""
    code = run_child(command, folder, variables)
    if code < 0:
        raise TrainingError(f"the training in the checkout was ended by {signal.Signals(-code).name}")
    return code


def _lines(content: bytes) -> Iterator[str]:
    """Yield a text's lines, harmless to a terminal: what could hide some of them is spelled out."""
    for line in content.removesuffix(b"\n").split(b"\n"):
        parts = line.decode(errors="backslashreplace").split("\t")
        yield "\t".join(for_terminal(part) for part in parts)
