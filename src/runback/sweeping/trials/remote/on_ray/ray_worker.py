"""A worker that an actor has started: `python -m …ray_worker FOLDER NAME`, in a session of its own.

It ends with its actor, which holds the other end of its standard input, and with it all that it has started:
where Ray kills an actor, for its memory or with its node, nothing of it stays.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from runback.sweeping.trials.remote import worker_process


def main(arguments: list[str]) -> int:
    """Be a worker, see `worker_process`, for as long as there is an actor."""
    actor = os.dup(0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # for its trials
    threading.Thread(target=_end_with, args=(actor,), daemon=True).start()
    return worker_process.main(arguments)


def _end_with(actor: int) -> None:
    while os.read(actor, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
