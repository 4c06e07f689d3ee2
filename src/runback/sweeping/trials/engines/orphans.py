"""The processes of trials whose coordinator was killed: on this machine, they are waited for."""

import time
from collections.abc import Sequence
from pathlib import Path

from runback.sweeping.trials.trial_output import OUTPUT
from runback.system.files.process_owner import end, is_abandoned, is_open_in

GRACE = 15.0
"""Seconds that such trials get to end by themselves."""


def end_orphans(trials: Sequence[tuple[int, str, Path]]) -> None:
    """Wait until these trials' processes on this machine have ended; in the end, kill what still runs.

    The study may be somebody else's, and name any process: one that does not print into its trial's folder is
    left alone.
    """
    deadline = time.monotonic() + GRACE
    left = [process for _, process, folder in trials if is_open_in(process, folder / OUTPUT)]
    while (
        left := [process for process in left if not is_abandoned(process)]
    ) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        end(process)
