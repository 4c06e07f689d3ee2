"""Holds the folder of a run while it trains: a new one, or that of a run which an earlier process began."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from runback.errors import InputError
from runback.runs.continuation import Continuation, continue_trial
from runback.sweeping.trials.trial import Trial
from runback.system.files.folder_lock import LOCK, alone_in
from runback.tracking.layout import MIRROR, Layout

FOLDER_PATIENCE = 60.0
"""Seconds that a trial waits for its folder: a delivery to a server that hangs takes 20 s or 40 s to fail."""


@contextlib.contextmanager
def continued(
    folder: Path, trial: Trial, layout: Layout
) -> Iterator[tuple[Continuation | None, dict[str, str]]]:
    """Hold the folder of a trial that an earlier process had begun; see `continue_trial`."""
    # The coordinator may hold the folder for a moment, to deliver what that process could not.
    with alone_in(folder, trial.label.name, FOLDER_PATIENCE):
        yield continue_trial(folder, trial, layout)


@contextlib.contextmanager
def fresh_folder(folder: Path, *, is_own: bool = True) -> Iterator[None]:
    """Hold a folder for a new run. Errors: InputError where it holds another one.

    If it is the run's own, and bad input keeps that from being started, what Hydra and the lock made in it is
    removed, and no more.
    """
    from runback.tracking.write.outbox import Outbox

    with alone_in(folder, f"the training in {folder}"):
        _refuse_used(folder)
        try:
            yield
        except InputError:
            if is_own and Outbox(folder).run_id is None:
                shutil.rmtree(folder / ".hydra", ignore_errors=True)
                (folder / LOCK).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise


def _refuse_used(folder: Path) -> None:
    """Refuse a folder with another run's curves and checkpoints: they would be taken for this one's."""
    from runback.runs.checkpoint import has_checkpoints

    if (folder / MIRROR).exists() or has_checkpoints(folder):
        raise InputError(f"{folder} holds another run: choose another folder, or move it away")
