"""The requests to a running sweep: files in a folder of its own, which whoever sees that folder can write."""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from runback.errors import InputError
from runback.sweeping.control.presence import SweepWatch
from runback.sweeping.control.request import Request, as_json, from_json
from runback.sweeping.watching.live_file import LiveView
from runback.system.files.regular_file import reading
from runback.system.files.whole_file import write_whole

FOLDER = "requests"
"""The folder in a sweep's, which is there while the sweep runs."""

REQUEST, ANSWER = ".request.json", ".answer.json"

LONGEST = 100_000
"""Bytes of a request or an answer."""

STARTING = 120.0
"""Seconds that a sweep that starts gets until it can be asked."""

PATIENCE = 120.0
"""Seconds in which a sweep that runs answers: its first trial waits for what the task preloads."""


class NoAnswer(InputError):  # noqa: N818 - the word for it
    """Nobody has taken a request."""


class Mailbox:
    """The requests to one sweep, as its coordinator reads them."""

    def __init__(self, sweep_folder: Path) -> None:
        self._folder = sweep_folder / FOLDER

    @contextlib.contextmanager
    def receiving(self) -> Iterator[None]:
        """Let requests come in this block; those that came while no coordinator was there, too."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            yield
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def take(self) -> list[tuple[str, Request | None]]:
        """Return the requests that have come, by name, in their order; None for what is none. Each once."""
        with contextlib.suppress(OSError):
            files = sorted(self._folder.glob(f"[!.]*{REQUEST}"))
            return [(file.name.removesuffix(REQUEST), self._taken(file)) for file in files]
        return []

    def answer(self, name: str, error: str | None = None) -> None:
        """Say that a request was heeded, or why not."""
        with contextlib.suppress(OSError):
            write_whole(self._folder / f"{name}{ANSWER}", json.dumps({"error": error}).encode())

    @staticmethod
    def _taken(file: Path) -> Request | None:
        try:
            return from_json(_read(file))
        except (OSError, ValueError):
            return None
        finally:
            with contextlib.suppress(OSError):
                file.unlink()


def ask(sweep_folder: Path, name: str, request: Request, patience: float = PATIENCE) -> None:
    """Ask something of the running sweep `name`, and wait until it has taken that in.

    Errors: NoAnswer where no sweep takes it; InputError, with its reason, where it cannot be heeded.
    """
    folder = sweep_folder / FOLDER
    _wait_until_open(sweep_folder, name)
    own = f"{time.time_ns():020}-{os.urandom(4).hex()}"
    file, answer = folder / f"{own}{REQUEST}", folder / f"{own}{ANSWER}"
    deadline = time.monotonic() + patience
    try:
        write_whole(file, as_json(request))
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError):
                error = json.loads(_read(answer))["error"]
                if error is None:
                    return
                raise InputError(str(error))
            if not folder.is_dir():  # it has ended
                break
            time.sleep(0.05)
    except (OSError, ValueError, LookupError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"sweep {name} cannot be asked: {type(error).__name__}: {error}") from error
    finally:
        for left in (file, answer):
            with contextlib.suppress(OSError):
                left.unlink()
    raise NoAnswer(f"sweep {name} does not answer")


def _wait_until_open(sweep_folder: Path, name: str) -> None:
    """Wait for a sweep that starts. Errors: NoAnswer."""
    folder, watch = sweep_folder / FOLDER, SweepWatch(sweep_folder)
    deadline = time.monotonic() + STARTING
    while (presence := watch.look(LiveView.read(sweep_folder))) in ("running", "starting"):
        if folder.is_dir() and not folder.is_symlink():
            return
        if time.monotonic() > deadline:
            raise NoAnswer(f"sweep {name} does not answer")
        time.sleep(0.1)
    why = {"queued": f"sweep {name} waits in the queue", "unknown": "SLURM does not answer"}
    raise NoAnswer(why.get(presence, f"sweep {name} is not running"))


def _read(file: Path) -> bytes:
    """Return what a regular file of our own holds. Errors: OSError, ValueError."""
    with reading(file) as stream:
        status = os.fstat(stream.fileno())
        if status.st_uid != os.getuid() or status.st_size > LONGEST:
            raise ValueError("no file of ours")
        return stream.read(LONGEST)
