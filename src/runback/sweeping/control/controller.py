"""Heeds what a person asks of a running sweep, and keeps it in the study as an event."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.study import Study
from pydantic import TypeAdapter, ValidationError

from runback.errors import InputError
from runback.sweeping.control.mailbox import Mailbox
from runback.sweeping.control.request import AddPoint, Change, EndTrial, Request, StopSweep
from runback.sweeping.deciding.first_points import asked_point, held_point
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.shared.claims import Claims
from runback.sweeping.space.search_space import Space
from runback.sweeping.study.attributes import ENQUEUED, EVENTS
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.states import state
from runback.sweeping.trials.coordinator import Coordinator
from runback.sweeping.trials.hydra_job import Composer
from runback.system.text.terminal import say

LOOK = 0.5
"""Seconds from one look at the mailbox to the next."""


class Controller:
    """Heeds the requests to one sweep, between the turns of its coordinators."""

    def __init__(
        self,
        mailbox: Mailbox,
        study: Study,
        proposer: Proposer,
        composer: Composer,
        space: Space,
        claims: Claims,
        *,
        is_deterministic: bool,
    ) -> None:
        self._mailbox, self._study, self._proposer, self._claims = mailbox, study, proposer, claims
        self._composer, self._space, self._is_deterministic = composer, space, is_deterministic
        self._looked = 0.0
        self._is_stopping = False
        self._enqueued = enqueued(study, space)
        for number, params in self._enqueued.items():
            proposer.enqueue(number, params)

    def attend(self, coordinator: Coordinator) -> None:
        """Heed what was asked for since the last look."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        for name, request in self._mailbox.take():
            try:
                self._heed(coordinator, request)
            except InputError as error:
                self._mailbox.answer(name, str(error))
            else:
                self._mailbox.answer(name)

    def _heed(self, coordinator: Coordinator, request: Request | None) -> None:
        is_search = coordinator.study is self._study
        if not is_search and not isinstance(request, StopSweep):
            raise InputError("the search is over: its finalists are trained on fresh seeds")
        match request:
            case None:
                raise InputError("expected a request")
            case StopSweep():
                self._stop()
            case EndTrial(number):
                coordinator.end_trial(number)
                self._keep({"end_trial": number})
            case Change():
                self._change(coordinator, request)
            case AddPoint(overrides):
                self._enqueue(coordinator, overrides)

    def _stop(self) -> None:
        if self._is_stopping:  # a second signal would kill the trials
            return
        self._is_stopping = True
        self._keep({"stop": True})
        say("asked to stop")
        os.kill(os.getpid(), signal.SIGINT)

    def _change(self, coordinator: Coordinator, change: Change) -> None:
        values = change.values
        if self._is_deterministic and "n_workers" in values:
            raise InputError("a deterministic sweep keeps its n_workers: what is proposed depends on it")
        before = {name: getattr(coordinator.budget, name) for name in values}
        coordinator.change(**values)
        self._keep({"set": values, "before": before})
        say("asked to go on with " + ", ".join(f"{name}={value}" for name, value in values.items()))

    def _enqueue(self, coordinator: Coordinator, overrides: str) -> None:
        if self._is_deterministic:
            raise InputError("a deterministic sweep takes no points while it runs: start it with first=[…]")
        params = asked_point(overrides, self._composer, self._space, "--enqueue")
        trials = self._study.get_trials(deepcopy=False)
        asked = {trial.user_attrs.get(ENQUEUED) for trial in trials}
        before = len(self._enqueued.keys() - asked) + self._proposer.first_left(trials)
        before += sum(state(trial) == "waiting" for trial in trials)
        if before >= coordinator.room(trials):
            raise InputError(
                f"the sweep's n_trials={coordinator.budget.n_trials} have no room for another one: "
                "give it more first, with --set n_trials=N"
            )
        number = self._keep({"enqueue": params})
        self._enqueued[number] = params
        self._proposer.enqueue(number, params)
        say(f"asked to train {overrides}")

    def _keep(self, event: Mapping[str, Any]) -> int:
        """Keep an event in the study; return its number."""
        timed = {"at": time.time(), **event}

        def keep() -> int:
            found = self._study.user_attrs.get(EVENTS, [])
            events = found if isinstance(found, list) else []
            if timed not in events:  # a try before this one, whose reply was lost, has written it
                self._study.set_user_attr(EVENTS, [*events, timed])
            return len(events) if timed not in events else events.index(timed)

        return self._claims.exclusively(keep)


@contextmanager
def heeding_stops(folder: Path, *, is_needed: bool) -> Iterator[Callable[[], None]]:
    """Give what heeds a request to stop a sweep that has not begun, as it waits for its first worker.

    It raises KeyboardInterrupt then; what else is asked for is refused. Where that is not needed nothing is
    made in the sweep's folder.
    """
    if not is_needed:
        yield lambda: None
        return
    mailbox = Mailbox(folder)
    with mailbox.receiving():
        yield lambda: _heed_stop(mailbox)


def _heed_stop(mailbox: Mailbox) -> None:
    for name, request in mailbox.take():
        if isinstance(request, StopSweep):
            mailbox.answer(name)
            say("asked to stop")
            time.sleep(LOOK)  # the answer is read meanwhile
            raise KeyboardInterrupt
        mailbox.answer(name, "it has not begun: it waits for its first worker, or its task checks the search")


def enqueued(study: Study, space: Space) -> dict[int, dict[str, Any]]:
    """Return the points that were asked for, by the numbers of their events; none that the space lacks."""
    asked = {number: event.get("enqueue") for number, event in _events(study)}
    found = {
        number: held_point(params, space) for number, params in asked.items() if isinstance(params, dict)
    }
    return {number: params for number, params in found.items() if params is not None}


def as_changed(study: Study, budget: Budget, *names: str) -> Budget:
    """Return a budget with the values that were set while the sweep ran, of these names or of all.

    That is so for a sweep that is started as it was then: a command that has another value than the one that
    was changed is a later wish.
    """
    changed = replace(budget)
    changes = [*_changes(study)]
    for name in names or ("n_workers", "n_trials", "timeout"):
        first: Any = None  # what the command said of which these changes are
        last: Any = None
        for before, after in changes:
            if name not in after:
                continue
            first = first if last is not None and before.get(name) == last else before.get(name)
            last = after[name]
            if getattr(budget, name) == first:
                setattr(changed, name, last)
    return changed


def _changes(study: Study) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield what was set, by name: the values before and after each change."""
    change = TypeAdapter(Change)
    for _, event in _events(study):
        with suppress(ValidationError):
            before, after = (change.validate_python(event.get(name, {})) for name in ("before", "set"))
            yield before.values, after.values


def _events(study: Study) -> list[tuple[int, dict[str, Any]]]:
    """Return the events of a study with their numbers: data, which somebody else may have written."""
    events = study.user_attrs.get(EVENTS, [])
    numbered = enumerate(events if isinstance(events, list) else [])
    return [(number, event) for number, event in numbered if isinstance(event, dict)]
