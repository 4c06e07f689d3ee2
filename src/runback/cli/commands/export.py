"""`runback export RUN FILE`: packs a run, its code and its model into one zip with a sum for each file."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from runback.errors import InputError
from runback.provenance.bundle.bundle_file import write_bundle
from runback.provenance.code.commit_zip import commit_zip
from runback.runs.schema import (
    ARCHITECTURE,
    CODE,
    CONFIG,
    CURVES,
    HISTORY,
    NETWORK,
    OVERRIDES,
    RECORD_FOLDER,
    BundleRun,
    write_history,
)
from runback.runs.stored_run import StoredRun, find_recorded, refuse_incomplete, refuse_running
from runback.system.options import Parser
from runback.system.text.escape import for_terminal
from runback.system.text.listing import listed
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root
from runback.tracking.tags import PREFIX

SHOWN = 5
"""Artifacts that are left out that a line names; it counts the others."""

FILES = (CONFIG, OVERRIDES, NETWORK, ARCHITECTURE, CURVES)
"""The artifacts of a run that a bundle takes besides its record; model.keras has the weights."""


def main(argv: list[str]) -> int:
    """Run `runback export`."""
    parser = Parser(
        prog="runback export", description="Pack a run into one file that reproduce and verify take."
    )
    parser.add_argument(
        "run", metavar="RUN", help="a run ID (or 6 characters of it), best:SWEEP, a run's address"
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the zip to write")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    options = parser.parse_args(argv)
    layout = Layout(project_root())
    recorded = find_recorded(options.run, layout)
    if recorded.is_bundle:
        raise InputError(f"{options.run} is a bundle already")
    refuse_running(recorded, layout)
    packed = files(recorded, layout)
    fingerprint = write_bundle(options.file, facts(recorded), packed, overwrite=options.overwrite)
    size = options.file.stat().st_size
    say(*_left_out(recorded, packed), f"{options.file}  {size:,} bytes  fingerprint {fingerprint}")
    return 0


def _left_out(recorded: StoredRun, packed: Mapping[str, object]) -> Iterator[str]:
    """Say what the bundle lacks of the run."""
    if recorded.status == "SCHEDULED":
        yield f"  the run is paused: the bundle has its training up to epoch {recorded.last_epoch}"
    if CODE not in packed:
        yield "  no code: it was in no git repository"
    if NETWORK not in packed:
        yield f"  no model: the run has no {NETWORK}"
    others = sorted(name for name in recorded.files.names if name not in packed)
    if others:
        yield f"  left out: {listed([for_terminal(name) for name in others], SHOWN)}"


def facts(recorded: StoredRun) -> BundleRun:
    """Return what a bundle's manifest says about its run."""
    return {
        "id": recorded.id,
        "name": recorded.name,
        "status": recorded.status,
        "tags": {name: value for name, value in recorded.tags.items() if name.startswith(PREFIX)},
        "made_by": f"runback {version('runback')}",
    }


def files(recorded: StoredRun, layout: Layout) -> dict[str, bytes | Path]:
    """Return a bundle's files. Errors: InputError for an artifact that is gone, or a commit that is."""
    refuse_incomplete(recorded)
    wanted = [name for name in recorded.files.names if name in FILES or name.startswith(RECORD_FOLDER)]
    chosen: dict[str, bytes | Path] = {name: recorded.files.read(name) for name in wanted}
    chosen[HISTORY] = write_history(recorded.history)
    commit = recorded.record["code"]["commit"]
    if commit is not None:
        chosen[CODE] = commit_zip(layout.root, commit)
    return chosen
