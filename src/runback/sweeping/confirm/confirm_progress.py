"""A confirm stage as a person sees it while it runs: a line for each training that has ended."""

import sys
from typing import TextIO

from runback.sweeping.study.trial_label import confirm_label
from runback.sweeping.trials.events import SweepEvent, TrialEnded, TrialRequeued
from runback.sweeping.watching.live_table import outcome_text
from runback.system.text.screen import Screen


class ConfirmProgress:
    """Observes a confirm stage for a person."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Screen(stream or sys.stdout)

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.say(line)

    def observe(self, event: SweepEvent) -> None:
        """Print a training's result, or why it will be tried again."""
        match event:
            case TrialRequeued(trial, failure):
                again = "to go on" if failure.kind == "stopped" else "to be tried again"
                self.say(f"{confirm_label(trial).name}  {failure.kind}: {failure.reason}; {again}")
            case TrialEnded(trial, outcome):
                self.say(f"{confirm_label(trial).name}  {outcome_text(outcome)}")
