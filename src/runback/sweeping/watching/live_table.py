"""A sweep as a person sees it: a live table on a terminal or in a notebook, else lines; then a summary."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from rich.console import Group
from rich.live import Live
from rich.table import Table as RichTable

from runback.sweeping.space.search_space import Space
from runback.sweeping.study import states
from runback.sweeping.study.attributes import RUN_ID
from runback.sweeping.study.baseline import baseline_text
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import FINISHED, best_trials
from runback.sweeping.trials import messages
from runback.sweeping.trials.events import (
    Idle,
    PartEnded,
    SweepEvent,
    TrainedAgain,
    TrialEnded,
    TrialReported,
    TrialRequeued,
    TrialStarted,
    TrialTakenOver,
)
from runback.sweeping.trials.failures import KINDS
from runback.sweeping.watching.notebook_table import NotebookTable
from runback.system.text.escape import for_terminal
from runback.system.text.formatting import duration, short_names, short_value
from runback.system.text.screen import Screen, is_in_notebook

BEST_COUNT = 5
"""Best trials that the table and the summary list."""

HEAD = ("trial", "state", "step", "value", "parameters")

REDRAW_SECONDS = 0.25
"""Seconds between two drawings at least: each one reads the study."""


@dataclass
class _RunningRow:
    params: dict[str, Any]
    started: float
    step: int = 0
    value: float | None = None


class LiveTable:
    """Observes a sweep for a person."""

    def __init__(
        self,
        study: Study,
        budget: Budget,
        space: Space,
        stream: TextIO | None = None,
        config_point: Mapping[str, Any] | None = None,
    ) -> None:
        """`config_point` are the params of the config as it is, where the space has them."""
        self._study = study
        self._config_point = config_point
        self._budget = budget
        self._names = short_names(space.distributions)
        self._console = Screen(stream or sys.stdout)
        self._notebook = NotebookTable() if stream is None and is_in_notebook() else None
        self._running: dict[int, _RunningRow] = {}
        self._first: dict[tuple[str, str], int] = {}
        """The first trial that its params made fail, by the failure's kind and reason."""
        self._started = time.monotonic()
        self._already = self._counts()
        self._live: Live | None = None
        self._drawn = 0.0

    @contextlib.contextmanager
    def live(self) -> Iterator[None]:
        """Show the table while the sweep runs, where the output is a terminal or a notebook."""
        if self._notebook is not None:
            with self._notebook:
                self._draw()
                try:
                    yield
                finally:
                    self._running.clear()
                    self._notebook.draw(HEAD, [row for row, _ in self.rows()], self.counts_line())
            return
        if not self._console.is_terminal:
            yield
            return
        # Drawn at each event, Idle included: no thread of rich's own in the coordinator.
        with Live(self._render(), console=self._console, auto_refresh=False, transient=True) as self._live:
            yield
        self._live = None

    def observe(self, event: SweepEvent) -> None:
        """Show running trials with their latest values; say what has ended, or will be tried again."""
        match event:
            case TrialStarted(trial):
                row = _RunningRow(trial.params, time.monotonic())
                if trial.last_step is not None:  # it goes on
                    row.step, row.value = trial.last_step, trial.intermediate_values[trial.last_step]
                self._running[trial.number] = row
                self._draw()
            case TrialReported(trial, step, value):
                running = self._running.get(trial.number)
                if running is not None:
                    running.step, running.value = step, value
                self._draw()
            case TrialRequeued(trial, failure):
                self._running.pop(trial.number, None)
                self._print_requeued(trial.number, failure)
            case PartEnded(trial):
                self._running.pop(trial.number, None)
                self._print_paused(trial)
            case TrainedAgain(trial, step, paused_at):
                self._print(
                    f"trial {trial.number:>3}  trains again from step {step}: no checkpoint of step "
                    f"{paused_at} can be used"
                )
            case TrialTakenOver(trial):
                self._running.pop(trial.number, None)
                self._print(f"trial {trial.number:>3}  another coordinator has taken it over: ended here")
            case TrialEnded(trial, outcome):
                self._print_ended(trial, self._running.pop(trial.number, None), outcome)
            case Idle():
                self._draw()  # the clock goes on

    def _print_requeued(self, number: int, failure: messages.Failed) -> None:
        again = "to go on" if failure.kind == "stopped" else "to be tried again"
        line = f"trial {number:>3}  {failure.kind}: {failure.reason}; {again}"
        if self._is_live:
            self._console.say(line, style="yellow")
        else:
            self._print(line)

    def _print_paused(self, trial: FrozenTrial) -> None:
        """Print that a trial is paused, unless there is a table, which shows it."""
        if self._is_live:
            return self._draw()
        params = " ".join(self._params(trial.params))
        return self._print(f"trial {trial.number:>3}  paused  {states.reached(trial)}  {params}")

    def _print_ended(self, trial: FrozenTrial, row: _RunningRow | None, outcome: messages.Outcome) -> None:
        """Print a trial's result as a line; where there is a table that shows it, and only failures are."""
        number = trial.number
        if self._is_live:
            if isinstance(outcome, messages.Failed) and self._like(number, outcome) is None:
                self._console.say(f"trial {number}: {outcome_text(outcome)}", style="red")
            self._draw()
            return
        params = " ".join(self._params(trial.params))
        step = trial.last_step if row is None else row.step
        reached = f" after step {step}" if step and isinstance(outcome, messages.Pruned) else ""
        like = self._like(number, outcome) if isinstance(outcome, messages.Failed) else None
        text = outcome_text(outcome) if like is None else f"failed  as trial {like}"
        self._print(f"trial {number:>3}  {text}{reached}  {params}")

    def _like(self, number: int, failed: messages.Failed) -> int | None:
        """Return the trial whose params made it fail in the same way before; None: this is the first."""
        first = number
        if KINDS[failed.kind].blames_params:
            first = self._first.setdefault((failed.kind, failed.reason), number)
        return None if first == number else first

    def print_finished(self) -> None:
        """Say that there is nothing left to do."""
        name = self._study.study_name
        self._print(f"sweep {name} is finished: {self._progress()}")
        self.print_summary()

    def print_summary(self) -> None:
        """Print the counts, the best trials and the paused ones, and how the config as it is compares."""
        best, paused = best_trials(self._study, BEST_COUNT), self._paused()
        self._print(self.counts_line())
        if best:
            self._print("best trials:" if len(self._study.directions) == 1 else "Pareto front:")
        for trial in best:
            self._print_trial(", ".join(f"{value:.4f}" for value in trial.values), trial)
        if paused:
            self._print("paused trials, with which the same command goes on:")
        for trial in paused:
            self._print_trial(states.reached(trial), trial)
        if compared := baseline_text(self._study, self._config_point):
            self._print(compared)

    def _print_trial(self, values: str, trial: FrozenTrial) -> None:
        run = f"  run {trial.user_attrs[RUN_ID]}" if RUN_ID in trial.user_attrs else ""
        self._print(f"  {values}  trial {trial.number:>3}{run}  {' '.join(self._params(trial.params))}")

    def _paused(self) -> list[FrozenTrial]:
        if len(self._study.directions) > 1:
            return []
        trials = self._study.get_trials(deepcopy=False)
        return states.paused_trials(trials, self._study.direction, BEST_COUNT)

    def _print(self, line: str) -> None:
        self._console.say(line)

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._is_live or now - self._drawn < REDRAW_SECONDS:
            return
        self._drawn = now
        if self._live is not None:
            self._live.update(self._render(), refresh=True)
        if self._notebook is not None:
            self._notebook.draw(HEAD, [row for row, _ in self.rows()], self.counts_line())

    @property
    def _is_live(self) -> bool:
        return self._live is not None or self._notebook is not None

    def _render(self) -> Group:
        table = RichTable(*HEAD, box=None)
        for row, style in self.rows():
            table.add_row(*row, style=style)
        return Group(table, self.counts_line())

    def rows(self) -> list[tuple[list[str], str | None]]:
        """Return the table's rows, each with its style: the running, the best and the paused trials."""
        return [*self._running_rows(), *self._ended_rows()]

    def _running_rows(self) -> Iterator[tuple[list[str], str | None]]:
        for number, running in sorted(self._running.items()):
            value = "" if running.value is None else f"{running.value:.4f}"
            seconds = time.monotonic() - running.started
            params = " ".join(self._params(running.params))
            yield [str(number), f"running {seconds:.0f} s", str(running.step), value, params], "cyan"

    def _ended_rows(self) -> Iterator[tuple[list[str], str | None]]:
        for trial in best_trials(self._study, BEST_COUNT):
            values = ", ".join(f"{value:.4f}" for value in trial.values)
            yield [str(trial.number), "done", "", values, " ".join(self._params(trial.params))], None
        for trial in self._paused():
            step, params = max(trial.intermediate_values), " ".join(self._params(trial.params))
            value = f"{trial.intermediate_values[step]:.4f}"
            yield [str(trial.number), "paused", str(step), value, params], "dim"

    def counts_line(self) -> str:
        """Return how many trials are in each state, and how long it has taken, a line."""
        parts = [f"{len(self._running)} running"] if self._running else []
        parts += states.counts(self._study.get_trials(deepcopy=False))
        best = best_trials(self._study, 1)
        if best and len(self._study.directions) == 1:
            word = "highest" if self._study.direction == StudyDirection.MAXIMIZE else "lowest"
            parts.append(f"{word} so far {best[0].value:.4f} (trial {best[0].number})")
        left = self._seconds_left(self._counts())
        if self._running and left is not None:
            parts.append(f"about {duration(left)} left")
        elapsed = time.monotonic() - self._started
        return " · ".join([*parts, f"{duration(elapsed)} so far"])

    def _progress(self) -> str:
        counts = self._counts()
        return f"{sum(counts[state] for state in FINISHED)} of {self._budget.n_trials} trials"

    def _counts(self) -> dict[TrialState, int]:
        trials = self._study.get_trials(deepcopy=False)
        return {state: sum(trial.state == state for trial in trials) for state in TrialState}

    def _seconds_left(self, counts: Mapping[TrialState, int]) -> float | None:
        finished = sum(counts[state] for state in FINISHED)
        done_now = finished - sum(self._already[state] for state in FINISHED)
        elapsed = time.monotonic() - self._started
        if done_now == 0:
            return None
        by_time = None if self._budget.timeout is None else max(0.0, self._budget.timeout - elapsed)
        if self._budget.n_trials is None or self._paused():  # nobody knows how far those come
            return by_time
        by_trials = elapsed / done_now * (self._budget.n_trials - finished)
        return by_trials if by_time is None else min(by_trials, by_time)

    def _params(self, params: Mapping[str, Any]) -> list[str]:
        texts = (f"{self._names.get(name, name)}={short_value(value)}" for name, value in params.items())
        return [for_terminal(text) for text in texts]


def outcome_text(outcome: messages.Outcome) -> str:
    """Return how a trial ended, for a line about it."""
    match outcome:
        case messages.Completed(values):
            return "done    " + ", ".join(f"{value:.4f}" for value in values)
        case messages.Pruned():
            return "pruned"
        case messages.Failed(kind, reason):
            return f"failed  {kind}: {reason}"
