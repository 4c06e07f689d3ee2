"""Tells people elsewhere how a sweep fares, by webhooks: its end, failed trials, a new best value."""

import contextlib
import logging
import queue
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.errors import RunbackError
from runback.sweeping.reporting import public_values
from runback.sweeping.study.study_store import best_trials
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import SweepEvent, TrialEnded
from runback.sweeping.watching.webhook import Webhook
from runback.sweeping.watching.webhook_post import Message, post
from runback.system.secrecy import redacted, redacted_excerpt
from runback.system.text.escape import for_terminal

APART = 60.0
"""Seconds from one message about a best value to the next, and so about failures: what comes sooner is told
then, if it still holds, or with the end."""

AT_END = 8.0
"""Seconds that the sweep's end waits until its message is posted."""

WAITING = 20
"""Messages that wait for a slow server, at most; more are dropped."""

REASON = 300
"""Characters of a failure's reason that are sent."""

_logger = logging.getLogger(__name__)


class Notifier:
    """Observes a sweep for those who are not there. It never raises, and never waits but at the end."""

    def __init__(
        self, study: Study, webhooks: Sequence[Webhook], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._study, self._webhooks, self._clock = study, webhooks, clock
        self._wanted = {event for webhook in webhooks for event in webhook.on}
        self._new_best: FrozenTrial | None = None
        self._failed: list[tuple[int, messages.Failed]] = []
        self._told = {"best": -APART, "failures": -APART}
        self._posts: queue.Queue[tuple[str, Message] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._trouble: str | None = None
        self._has_said = False

    @contextlib.contextmanager
    def keeping(self, leaves: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Tell of the end, however the sweep ends, and wait a little until that is posted.

        A coordinator that `leaves` the end to others tells of none.
        """
        ended = "has ended"
        try:
            yield
        except RunbackError as error:
            ended = f"has ended: {_shown(str(error))}"
            raise
        except BaseException as error:
            ended = f"was stopped ({type(error).__name__})"
            raise
        finally:
            if not leaves():
                self._tell("end", f"sweep {self._name} {ended}", self._failures())
            self._finish()

    def observe(self, event: SweepEvent) -> None:
        """Take in how trials end; tell what is due."""
        match event:
            case TrialEnded(trial, messages.Completed()) if "best" in self._wanted:
                self._new_best = trial if self._is_best(trial) else self._new_best
            case TrialEnded(trial, messages.Failed() as failure) if self._wanted & {"end", "failures"}:
                self._failed.append((trial.number, failure))
        if self._new_best is not None and self._is_due("best"):
            name, trial = public_values.objectives(self._study)[0], self._new_best
            self._new_best = None
            text = f"sweep {self._name}: new best {_shown(name)} {trial.value:.6g}, trial {trial.number}"
            if self._is_best(trial):  # else another coordinator has a better one by now
                self._tell("best", text)
        if self._failed and "failures" in self._wanted and self._is_due("failures"):
            count = len(self._failed)
            what = "a trial has failed" if count == 1 else f"{count} trials have failed"
            self._tell("failures", f"sweep {self._name}: {what}", self._failures())
        self._say_trouble()

    @property
    def _name(self) -> str:
        return _shown(self._study.study_name)

    def _is_best(self, trial: FrozenTrial) -> bool:
        best = self._best()
        return best is not None and best.number == trial.number

    def _best(self) -> FrozenTrial | None:
        """Return the best trial by now, also one of another coordinator's; None with several objectives."""
        best = best_trials(self._study, 1) if len(self._study.directions) == 1 else []
        return best[0] if best else None

    def _is_due(self, event: str) -> bool:
        if self._clock() - self._told[event] < APART:
            return False
        self._told[event] = self._clock()
        return True

    def _failures(self) -> list[str]:
        """Return a line on the last of the trials that have failed since the last message; none for none."""
        failed, self._failed = self._failed, []
        return [f"trial {number}: {one.kind}: {_shown(one.reason)}" for number, one in failed[-1:]]

    def _tell(self, event: str, title: str, lines: Sequence[str] = ()) -> None:
        """Hand a message to the thread that posts; drop it where that is too far behind."""
        if event not in self._wanted:
            return
        try:
            message = self._message(event, title, lines)
            if self._thread is None:
                self._thread = threading.Thread(target=self._post_all, name="notify", daemon=True)
                self._thread.start()
            self._posts.put_nowait((event, message))
        except queue.Full:
            self._trouble = self._trouble or "messages wait for a slow server, and some are dropped"
        except Exception as error:  # a message is not worth a sweep
            self._trouble = self._trouble or f"a message cannot be made: {type(error).__name__}: {error}"

    def _message(self, event: str, title: str, lines: Sequence[str]) -> Message:
        trials = self._study.get_trials(deepcopy=False)
        counts = {one.name.lower(): sum(trial.state == one for trial in trials) for one in TrialState}
        counts = {name: count for name, count in counts.items() if count}
        command = f"runback best {shlex.quote(self._study.study_name)}"
        best: dict[str, Any] | None = None
        shown = []
        if (trial := self._best()) is not None:
            name = public_values.objectives(self._study)[0]
            best = {"objective": name, "value": trial.value, "trial": trial.number}
            if event != "best":
                shown = [f"best {_shown(name)} {trial.value:.6g}, trial {trial.number}"]
        shown += [*lines, ", ".join(f"{count:,} {name}" for name, count in counts.items()), command]
        text = "\n".join(filter(None, shown))
        facts = {"sweep": self._name, "event": event, "message": f"{title}\n{text}"}
        return Message(title, text, {**facts, "best": best, "trials": counts, "command": command})

    def _post_all(self) -> None:
        while (one := self._posts.get()) is not None:
            event, message = one
            for webhook in self._webhooks:
                if event not in webhook.on:
                    continue
                reason = post(webhook, message)
                if reason is not None:
                    self._trouble = self._trouble or f"{webhook.host}: {reason}"

    def _finish(self) -> None:
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._posts.put_nowait(None)
            self._thread.join(AT_END)
            if self._thread.is_alive():
                self._trouble = self._trouble or f"a message was not posted within {AT_END:g} s"
        self._say_trouble()

    def _say_trouble(self) -> None:
        """Say what went wrong, once a sweep."""
        if self._trouble is not None and not self._has_said:
            self._has_said = True
            trouble = for_terminal(redacted(" ".join(self._trouble.split())))[:REASON]
            _logger.warning("not everybody is notified of this sweep: %s", trouble)


def _shown(text: str) -> str:
    """Return text that a trial or a config has given on one line, without secrets and control characters."""
    return for_terminal(" ".join(redacted_excerpt(text, REASON).split()))
