"""Whoever starts a coordinator's workers, on whatever machines: a scheduler, a cluster, this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Fate:
    """How a worker has ended: a kind of failure, see `failures.KINDS`, and why."""

    kind: str
    reason: str


class Workers(Protocol):
    """Starts workers, which find their coordinator in a sweep's folder, and tells of their end."""

    def start(self, folder: Path, n: int) -> None:
        """See to it that there are `n` workers, or more, for the sweep in `folder`, of whichever coordinator.

        With 0 nobody comes any more: the sweep ends. Errors: InputError, TrainingError where none can be had.
        """

    def fate(self, worker: str) -> Fate | None:
        """Return how a worker has ended, by the name that it gives itself; None: it may yet be heard of."""

    def check(self, *, is_any_there: bool) -> None:
        """Look after the workers, now and then; one `is_any_there` where one has found its coordinator.

        Errors: TrainingError where none has, and none will.
        """

    def close(self) -> None:
        """End the workers that are left, and forget them."""
