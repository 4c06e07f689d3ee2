"""`runback sync [RUN_FOLDER|SWEEP]`: delivers what runs have recorded while their store was away."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from runback.errors import InputError, RunbackError, StoreAway
from runback.system.files.folder_lock import alone_in
from runback.system.home_folder import expanded
from runback.system.options import Parser
from runback.system.text.terminal import say
from runback.tracking.layout import Layout, project_root, training_folders
from runback.tracking.write.outbox import RUN, Outbox, waiting

if TYPE_CHECKING:
    from runback.tracking.store import Store


def main(argv: list[str]) -> int:
    """Deliver what waits, and say what still does; returns 0 where all is delivered, 1 where it is not.

    Doing it again changes nothing. Runs whose process runs deliver by themselves, and are left alone. Raises
    InputError for a name that is neither a run's folder nor a sweep, StoreError.
    """
    parser = Parser(
        prog="runback sync", description="Deliver what runs have recorded while their store was away."
    )
    parser.add_argument(
        "what", nargs="?", metavar="RUN_FOLDER|SWEEP", help="default: all that waits under mlruns/"
    )
    layout = Layout(project_root())
    folders = _folders(parser.parse_args(argv).what, layout)
    if not folders:
        say("nothing waits")
        return 0
    return _deliver(folders, layout)


def _folders(named: str | None, layout: Layout) -> list[Path]:
    """Return the folders of runs that are not stored whole, those of trials before their sweep's own."""
    if named is None:
        sweeps = sorted(layout.sweeps.glob("*/"))
        singles = sorted(layout.runs.glob("*/"))
        return [*waiting(singles), *(folder for sweep in sweeps for folder in _within(sweep))]
    for folder in (expanded(named, "the folder"), layout.sweeps / named):
        if any((one / RUN).is_file() for one in (folder, *training_folders(folder))):
            return _within(folder)
    raise InputError(f"expected the folder of a run, or a sweep of {layout.sweeps}; got {named!r}")


def _within(folder: Path) -> list[Path]:
    return waiting([*_by_number(training_folders(folder)), folder])


def _by_number(folders: Iterable[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: (len(folder.name), folder.name))


def _deliver(folders: list[Path], layout: Layout) -> int:
    from runback.tracking.store import open_store

    try:
        store = open_store(layout)
        for folder in folders:
            _deliver_one(store, folder)
    except StoreAway as away:
        say(f"the store is away: {away}")
    left = len(waiting(folders))
    say(f"{len(folders) - left} delivered, {left} still waiting" if left else f"{len(folders)} delivered")
    return 1 if left else 0


def _deliver_one(store: "Store", folder: Path) -> None:
    """Deliver one run's outbox and say how that went. Raises StoreAway."""
    from runback.tracking.write.delivery import deliver_folder

    outbox, layout = Outbox(folder), store.layout
    try:
        if folder.is_relative_to(layout.mlruns):
            layout.inside(folder, f"the folder of run {outbox.run_id}")
        with alone_in(folder, f"run {outbox.run_id}"):
            troubles: list[RunbackError] = deliver_folder(store, folder)
    except StoreAway:
        raise
    except InputError as error:
        troubles = [error]
    where = "" if outbox.store in (None, str(store)) else f" (it was begun in {outbox.store})"
    for trouble in troubles:
        say(f"run {outbox.run_id} waits: {trouble}{where}")
    if not troubles:
        say(f"run {outbox.run_id} is stored whole")
