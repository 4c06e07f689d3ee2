"""Which trials are a coordinator's: all of a study of its own, the leased ones of a shared study."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, TypeVar

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.shared.leases import ENDING, Heartbeat, Leases
from runback.sweeping.shared.shared_storage_internals import SharedStorage
from runback.sweeping.study.attributes import COORDINATOR_RUN
from runback.sweeping.study.optuna_internals import database_storage, study_id, trial_id

T = TypeVar("T")


class LeaseLost(Exception):  # noqa: N818 - what has happened
    """A trial is somebody else's by now: it was taken over while this coordinator was not heard of."""


def attended_trials(study: Study) -> set[int]:
    """Return the storage's IDs of the trials of a shared study that living coordinators run."""
    storage = database_storage(study)
    if not isinstance(storage, SharedStorage):
        return set()
    held = Leases(storage, study_id(study)).held()
    return {trial_id(trial) for trial in study.get_trials(deepcopy=False) if trial.number in held}


class Claims(Protocol):
    """What a coordinator may do with the trials of a study."""

    def exclusively(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, while no other coordinator does such a thing; maybe called twice."""

    def take(self, number: int) -> None:
        """Make a trial this coordinator's, in what is done `exclusively`. Raises LeaseLost."""

    def is_mine(self, number: int) -> bool:
        """Tell whether a trial that was taken is this coordinator's still."""

    def finish(self, number: int, write: Callable[[], None]) -> None:
        """Write a trial's end, or put it back, and let go of it. Raises LeaseLost, with nothing written."""

    def write(self, number: int, call: Callable[[], T]) -> T:
        """Return what `call` returns, which writes to a running trial. Raises LeaseLost."""

    def drop(self, number: int) -> None:
        """Forget a trial that was lost."""

    def dead(self, trials: Sequence[FrozenTrial], running: Collection[int]) -> list[FrozenTrial]:
        """Take the RUNNING trials that nobody runs, and return them; this coordinator is `running` others."""

    def is_shared_with(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether another coordinator runs any of these trials."""

    def wait_by(self, wait: Callable[[float], Any] | None) -> None:
        """Wait like this while the study's database is away; None: by sleeping."""

    def give_up(self) -> None:
        """Wait no more for a database that is away."""


class OwnStudy:
    """A study that one coordinator has for itself: the file's lock keeps others away."""

    def exclusively(self, call: Callable[[], T]) -> T:
        """Return what `call` returns."""
        return call()

    def take(self, number: int) -> None:
        """Do nothing: all trials are this coordinator's."""

    def is_mine(self, number: int) -> bool:
        """Return True."""
        return True

    def finish(self, number: int, write: Callable[[], None]) -> None:
        """Write."""
        write()

    def write(self, number: int, call: Callable[[], T]) -> T:
        """Return what `call` returns."""
        return call()

    def drop(self, number: int) -> None:
        """Do nothing."""

    def dead(self, trials: Sequence[FrozenTrial], running: Collection[int]) -> list[FrozenTrial]:
        """Return all other RUNNING trials: those of a coordinator before this one."""
        return [one for one in trials if one.state == TrialState.RUNNING and one.number not in running]

    def is_shared_with(self, trials: Sequence[FrozenTrial]) -> bool:
        """Return False."""
        return False

    def wait_by(self, wait: Callable[[float], Any] | None) -> None:
        """Do nothing: a file is not away."""

    def give_up(self) -> None:
        """Do nothing."""


class SharedStudy:
    """A study in PostgreSQL that several coordinators have, each with leases on the trials that it runs."""

    def __init__(self, study: Study, owner: str, heartbeat: Heartbeat, lease: float) -> None:
        storage = database_storage(study)
        if not isinstance(storage, SharedStorage):
            raise TypeError(f"expected a study in PostgreSQL; got {type(storage).__name__}")
        self._study, self._id, self._storage = study, study_id(study), storage
        self._heartbeat, self._lease = heartbeat, lease
        self._leases = Leases(storage, self._id, owner, lease)

    def of_confirm(self, study: Study) -> "SharedStudy":
        """Return the claims on the trials of the sweep's confirm stage."""
        return SharedStudy(study, self._leases.owner, self._heartbeat, self._lease)

    def exclusively(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, under the study's lock; it is called again where the lock was lost."""
        return self._storage.exclusively(self._id, call)

    def take(self, number: int) -> None:
        """Lease a trial, and renew the lease from now on. Raises LeaseLost where it is somebody else's."""
        if not self._leases.take(number):
            raise LeaseLost(f"trial {number} is somebody else's")
        self._heartbeat.hold(self._id, number)

    def is_mine(self, number: int) -> bool:
        """Tell whether a trial is this coordinator's still, if need be by asking the database."""
        if self._heartbeat.is_lost(self._id, number):
            return False
        if self._heartbeat.age(self._id, number) < self._lease / 2:
            return True
        return self._leases.is_own(number)

    def finish(self, number: int, write: Callable[[], None]) -> None:
        """Write a trial's end under the lock, if its lease is held, and release that. Raises LeaseLost."""

        is_written = False

        def end() -> None:
            nonlocal is_written
            if not is_written and not self._leases.is_own(number):
                raise LeaseLost(f"trial {number} is somebody else's")
            if self._state(number) == TrialState.RUNNING:  # else a try before this one has written it
                write()
            is_written = True
            self._leases.release(number)

        self.exclusively(end)
        self._heartbeat.drop(self._id, number)

    def write(self, number: int, call: Callable[[], T]) -> T:
        """Return what `call` returns, if the trial's lease is held. Raises LeaseLost.

        It is not under the lock: a report would wait for other coordinators' samplers.
        """
        if not self.is_mine(number):
            raise LeaseLost(f"trial {number} is somebody else's")
        try:
            return call()
        except UpdateFinishedTrialError:
            raise LeaseLost(f"trial {number} has ended elsewhere") from None

    def drop(self, number: int) -> None:
        """Renew a trial's lease no more."""
        self._heartbeat.drop(self._id, number)

    def dead(self, trials: Sequence[FrozenTrial], running: Collection[int]) -> list[FrozenTrial]:
        """Take the RUNNING trials without a lease, and those whose lease has expired; return them."""
        if not self._unattended(trials, running):
            return []

        def take_over() -> list[FrozenTrial]:
            found = self._unattended(self._study.get_trials(deepcopy=False), running)
            taken = [trial for trial in found if self._leases.take(trial.number)]
            for trial in taken:
                self._heartbeat.hold(self._id, trial.number)
            return taken

        return self.exclusively(take_over)

    def is_shared_with(self, trials: Sequence[FrozenTrial]) -> bool:
        """Tell whether any of these trials RUNs; the caller runs none."""
        return any(trial.state == TrialState.RUNNING for trial in trials)

    def take_ending(self, is_over: Callable[[], bool]) -> bool:
        """Make writing the sweep's end this coordinator's, if it `is_over`; return whether it is.

        It is so for one of all coordinators; another gets it where that one is not heard of any more.
        """

        def take() -> bool:
            return is_over() and self._leases.take(ENDING)

        taken = self.exclusively(take)
        if taken:
            self._heartbeat.hold(self._id, ENDING)
        return taken

    def write_end(self, write: Callable[[], None]) -> None:
        """Write the sweep's end under the lock, if that is this coordinator's. Raises LeaseLost."""

        def checked() -> None:
            if not self._leases.is_own(ENDING):
                raise LeaseLost("the sweep's end is somebody else's")
            write()

        self.exclusively(checked)

    def holds_ending(self) -> bool:
        """Tell whether that is this coordinator's still, if need be by asking the database."""
        return self.is_mine(ENDING)

    def release_ending(self) -> None:
        """Let go of that."""
        self.exclusively(self._release_ending)
        self._heartbeat.drop(self._id, ENDING)

    def note_run(self, run_id: str | None) -> None:
        """Note which run in MLflow is the sweep's for this coordinator."""
        self._study.set_user_attr(f"{COORDINATOR_RUN}{self._leases.owner}", run_id)

    def others(self) -> set[str]:
        """Return the other owners that are heard of, who run trials or write the sweep's end."""
        return {*self._leases.held().values()} - {self._leases.owner}

    def others_with(self, run_id: str | None) -> set[str]:
        """Return those of them that have this run in MLflow, as their store is the same."""
        attributes = self._study.user_attrs
        return {owner for owner in self.others() if attributes.get(f"{COORDINATOR_RUN}{owner}") == run_id}

    def wait_by(self, wait: Callable[[float], Any] | None) -> None:
        """Wait like this while the study's database is away; None: by sleeping."""
        self._storage.wait = wait or time.sleep

    def give_up(self) -> None:
        """Wait no more for a database that is away."""
        self._storage.patience = 0.0

    def _release_ending(self) -> None:
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        self._leases.release_all_but([trial.number for trial in running])

    def _unattended(self, trials: Sequence[FrozenTrial], running: Collection[int]) -> list[FrozenTrial]:
        others = [one for one in trials if one.state == TrialState.RUNNING and one.number not in running]
        held = self._leases.held() if others else {}
        # Its own it took by a try whose answer was lost: another trial was started then.
        return [trial for trial in others if held.get(trial.number) in (None, self._leases.owner)]

    def _state(self, number: int) -> TrialState:
        return self._study.get_trials(deepcopy=False)[number].state
