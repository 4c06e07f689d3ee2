"""A confirm stage as a person sees it while it runs: a line for each training that has ended."""

import sys
from collections.abc import Callable
from typing import Any, TextIO

from runback.sweeping.trials import messages
from runback.sweeping.watching.live_table import outcome_text
from runback.system.text.screen import Screen


class ConfirmProgress:
    """Observes a confirm stage for a person."""

    def __init__(self, name: Callable[[int], str], stream: TextIO | None = None) -> None:
        """`name` tells what a trial of the stage's study is called."""
        self._name = name
        self._console = Screen(stream or sys.stdout)

    def say(self, line: str) -> None:
        """Print a line."""
        self._console.say(line)

    def asked(self, number: int, params: dict[str, Any]) -> None:
        """Do nothing: what has ended is shown."""

    def reported(self, number: int, step: int, value: float) -> None:
        """Do nothing."""

    def put_back(self, number: int, failure: messages.Failed) -> None:
        """Say why a training will be tried again."""
        again = "to go on" if failure.kind == "stopped" else "to be tried again"
        self.say(f"{self._name(number)}  {failure.kind}: {failure.reason}; {again}")

    def recovered(self, number: int, outcome: messages.Outcome) -> None:
        """Do nothing: the result is shown when it is in the study."""

    def ended(self, number: int, outcome: messages.Outcome) -> None:
        """Print a training's result."""
        self.say(f"{self._name(number)}  {outcome_text(outcome)}")

    def idle(self) -> None:
        """Do nothing."""
