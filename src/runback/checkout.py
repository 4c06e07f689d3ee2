"""Reproduces a run whose code is not the code here: in a working tree and with packages of its own."""

import contextlib
import io
import os
import secrets
import signal
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from runback.errors import InputError, Stopped, TrainingError
from runback.locked_environment import locked_python
from runback.provenance.checkout import knows_commit, toplevel, unpacked, worktree
from runback.provenance.snapshot import LIMIT
from runback.recorded import CODE, LOCK, PATCH, UNTRACKED, RecordedRun
from runback.tracking.layout import MLRUNS_VARIABLE, ROOT_VARIABLE, Layout, folder_name

GRACE = 60.0
"""Seconds that a training gets to end after a signal; it needs those of one step and one checkpoint."""


def reproduce(
    recorded: RecordedRun, layout: Layout, flags: Sequence[str], console: Console, *, ask: bool
) -> int:
    """Run `runback reproduce` with the run's own code and packages; return its exit code.

    `flags` are this command's other options; with `ask` a person has to agree to a bundle's code. The user's
    checkout, its index and its environment stay as they are; everything new lies under mlruns/. Errors:
    InputError when that code cannot be had.
    """
    code = recorded.record["code"]
    if code["commit"] is None:
        raise InputError(f"the code of run {recorded.id} is in no git repository: use --in-place")
    is_all_ours = (
        knows_commit(layout.root, code["commit"]) and not code["patch_sha256"] and not code["untracked"]
    )
    if recorded.is_bundle and ask and not is_all_ours:
        _ask(recorded, layout, console)
    for one in code["left_out"]:
        console.print(f"not in the record, so not in the checkout: {one.get('path')}", soft_wrap=True)
    console.print(f"training in a checkout of commit {code['commit']}", soft_wrap=True)
    with _checkout(recorded, layout) as folder:
        project = _project(folder, code["project"])
        python = _python(project, recorded, layout, console)
        console.file.flush()
        command = [str(python), "-P", "-m", "runback", "reproduce", recorded.reference, "--in-place", *flags]
        return _run(command, _working_folder(recorded, layout, project), _variables(project, folder, layout))


@contextlib.contextmanager
def _checkout(recorded: RecordedRun, layout: Layout) -> Iterator[Path]:
    """Give the folder with the run's code; it is gone afterwards."""
    code = recorded.record["code"]
    # Two reproductions of one run may go on at once.
    name = f"{folder_name(recorded.id, 'a run ID')[:12]}-{secrets.token_hex(3)}"
    folder = layout.inside(layout.checkouts / name, "the folder of a checkout")
    patch = recorded.files.read(PATCH) if code["patch_sha256"] else b""
    untracked = recorded.files.read(UNTRACKED) if code["untracked"] else None
    archive = recorded.optional(CODE)
    try:
        if archive is not None and not knows_commit(layout.root, code["commit"]):
            made = unpacked(archive, folder, patch, untracked, tree=code["tree"])
        else:
            made = worktree(layout.root, code["commit"], folder, patch, untracked)
        with made:
            yield folder
    finally:
        with contextlib.suppress(OSError):  # another reproduction may be in there
            layout.checkouts.rmdir()


def _project(folder: Path, within: str | None) -> Path:
    project = (folder / (within or ".")).resolve()
    if not project.is_relative_to(folder.resolve()) or not project.is_dir():
        raise InputError(f"the recorded code has no folder {within!r}, in which the project was")
    return project


def _python(project: Path, recorded: RecordedRun, layout: Layout, console: Console) -> Path:
    """Return the Python that has the packages of the run's lock file; without one, this Python."""
    lock, file = recorded.optional(LOCK), project / "uv.lock"
    if lock is not None and not file.exists():  # git ignores it
        file.write_bytes(lock)
    if not file.is_file():
        return Path(sys.executable)
    console.print("making its environment: uv sync --frozen", soft_wrap=True)
    record = recorded.record
    return locked_python(project, record["packages"], record["python"]["version"], layout.environments)


def _working_folder(recorded: RecordedRun, layout: Layout, project: Path) -> Path:
    """Return where to train, which decides what a relative data.path means.

    That is where the user is, because images are seldom under version control; where they are, it is the
    same place in the checkout.
    """
    here, path = Path.cwd(), recorded.config.data.get("path")
    if not isinstance(path, str) or path.startswith(("/", "~")) or not here.is_relative_to(layout.root):
        return here
    there = project / here.relative_to(layout.root)
    images, top = (there / path).resolve(), toplevel(project) or project
    left_out = [(top / str(one.get("path"))).resolve() for one in recorded.record["code"]["left_out"]]
    is_whole = not any(one.is_relative_to(images) or images.is_relative_to(one) for one in left_out)
    return there if is_whole and there.is_dir() and images.exists() else here


def _variables(project: Path, folder: Path, layout: Layout) -> dict[str, str]:
    """Return the environment in which Python imports the project's modules from the checkout."""
    kept = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return kept | {
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


def _run(command: Sequence[str], folder: Path, variables: dict[str, str]) -> int:
    """Run a command to its end, or to the one that a signal asks for; return its exit code."""
    # In a group of its own it hears of a signal once, from here.
    with subprocess.Popen(  # noqa: S603 - this Python, or the run's
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, process_group=0
    ) as child:
        try:
            code = child.wait()
        except (KeyboardInterrupt, Stopped) as stop:
            child.send_signal(signal.SIGTERM if isinstance(stop, Stopped) else signal.SIGINT)
            try:
                code = child.wait(GRACE)
            except subprocess.TimeoutExpired:
                raise stop from None
            if code < 0:
                raise
        finally:
            child.kill()
    if code < 0:
        raise TrainingError(f"the training in the checkout was ended by {signal.Signals(-code).name}")
    return code


def _ask(recorded: RecordedRun, layout: Layout, console: Console) -> None:
    """Show what a bundle brings of its own, and have a person agree to run it."""
    code = recorded.record["code"]
    if not knows_commit(layout.root, code["commit"]):
        console.print(
            f"commit {code['commit']} is unknown here: all code is the bundle's, in its {CODE}",
            soft_wrap=True,
        )
    changes = _lines(recorded.files.read(PATCH)) if code["patch_sha256"] else []
    if code["untracked"]:
        changes += _untracked_lines(recorded.files.read(UNTRACKED))
    for line in changes or ["(no uncommitted change)"]:
        console.print(line, soft_wrap=True)
    if not sys.stdin.isatty():
        raise InputError("this bundle brings code of its own: read it, then say --yes to run it")
    try:
        answer = console.input("run this code? [y/N] ", markup=False)
    except EOFError:
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        raise InputError("not run")


def _untracked_lines(content: bytes) -> list[str]:
    """Return the untracked files as a patch would show them."""
    lines = []
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                with archive.open(entry) as stream:
                    text = stream.read(LIMIT + 1)
                lines += [
                    f"untracked file {ascii(entry.filename)[1:-1]}",
                    *(f"+{one}" for one in _lines(text)),
                ]
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, ValueError) as error:
        raise InputError(f"{UNTRACKED} is damaged: {error}") from error
    return lines


def _lines(content: bytes) -> list[str]:
    """Return a text's lines, harmless to a terminal: what could hide some of them is spelled out."""
    if len(content) > LIMIT:
        raise InputError(f"the bundle changes more than {LIMIT:,} bytes of code, too much to be read")
    return [
        "".join(one if one.isprintable() or one == "\t" else ascii(one)[1:-1] for one in line)
        for line in content.decode(errors="backslashreplace").removesuffix("\n").split("\n")
    ]
