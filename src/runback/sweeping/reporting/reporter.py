"""Keeps the report on a sweep's run up to date: while it runs, and when it ends."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from optuna.study import Study
from optuna.trial import TrialState

from runback.errors import Stopped
from runback.sweeping.confirm.confirm_files import SECTION
from runback.sweeping.reporting import public_values
from runback.sweeping.reporting.best_config import BEST_CONFIG
from runback.sweeping.reporting.follow_up_commands import AppCommands, commands
from runback.sweeping.reporting.plots.colours import PAGE
from runback.sweeping.reporting.plots.drawing_process import Artist
from runback.sweeping.reporting.plots.plot_selection import WORTH_DRAWING
from runback.sweeping.reporting.sweep_cost import EnergyAccount, SweepCost, sweep_cost
from runback.sweeping.reporting.sweep_note import RunLinks, note
from runback.sweeping.reporting.trials_table import trials_csv
from runback.sweeping.study.attributes import RUN_ID
from runback.sweeping.study.baseline import baseline_text
from runback.sweeping.study.budget import Budget
from runback.sweeping.study.study_store import best_trials, finished_count
from runback.sweeping.trials.events import Idle, SweepEvent, TrialEnded
from runback.system.files.regular_file import read_regular
from runback.system.files.whole_file import write_whole
from runback.system.secrecy import redacted
from runback.system.text.lasting_output import output_troubles
from runback.tracking.layout import CONFIRM

WRITE_SECONDS = 30.0
"""Seconds from one note to the next while the sweep runs."""

DRAW_SECONDS = 60.0
"""Seconds until plots are drawn for the first time."""

DRAW_SHARE = 0.02
"""Share of the time in which plots are drawn while the sweep runs."""

DRAW_PATIENCE = 300.0
"""Seconds that the sweep's end waits for its plots."""

_logger = logging.getLogger(__name__)


@dataclass
class Reporter:
    """Observes a sweep for those who look at its run. It never raises: a report is not worth a sweep."""

    study: Study
    run: Any
    place: RunLinks
    budget: Budget
    config: DictConfig
    """The sweep's, with Hydra's part."""
    folder: Path
    best_config: Callable[[dict[str, Any], str], str]
    """Makes the best trial's config, as YAML, from its params and a text about it."""
    app: AppCommands
    config_point: Mapping[str, Any] | None = None
    """The params of the config as it is, where the space has them."""
    is_written: bool = False
    """Whether the report at the sweep's end has been written."""
    _written: float = 0.0
    _draw_at: float = 0.0
    _best: int | None = None
    _has_page: bool = False
    _has_failed: bool = False
    _artist: Artist | None = None

    def __post_init__(self) -> None:
        self._began = self._written = time.monotonic()
        self._draw_at = self._began + DRAW_SECONDS
        self._energy, self._metered = EnergyAccount(self.study), self._began

    @contextlib.contextmanager
    def keeping(self, leaves: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Write the whole report at the end, however the sweep ends. Ctrl-C ends its drawing too.

        A coordinator that `leaves` the end to others draws nothing.
        """
        try:
            yield
        finally:
            try:
                with self._harmless():
                    self._leave() if leaves() else self._finish()
                    self.is_written = True
            except (Stopped, KeyboardInterrupt):  # the sweep has ended: only the plots are given up
                self._warn("its drawing was interrupted")

    def observe(self, event: SweepEvent) -> None:
        """Write a new note and table, and have plots drawn, if the last ones are old enough."""
        match event:
            case TrialEnded() | Idle():  # when a trial ended, the last note may have been too young
                self._update()

    def _update(self) -> None:
        if self._has_failed:
            return
        now = time.monotonic()
        if now - self._metered >= WRITE_SECONDS:
            self._energy.update()
            self._metered = now
        with self._harmless(), self.run.in_background():
            if now - self._written >= WRITE_SECONDS and not self.run.is_behind:
                self._write()
                self._written = time.monotonic()
            self._draw_beside(now)

    def _draw_beside(self, now: float) -> None:
        artist = self._artist
        if artist is not None and artist.finished():
            self._draw_at = now + artist.seconds / DRAW_SHARE
            self._log_drawing(artist)
        elif now >= self._draw_at and not (artist is not None and artist.is_busy):
            self._draw_at = now + WRITE_SECONDS  # looking whether there is enough costs some, too
            if self._is_worth_drawing() and not self.run.is_behind:
                self._new_artist().begin(urgent=False)

    def _leave(self) -> None:
        """Write what is known so far."""
        self._energy.update()
        self._new_artist().drop()
        self._write()

    def _finish(self) -> None:
        self._energy.update()
        artist = self._new_artist()
        try:
            if self._is_worth_drawing():
                artist.begin(urgent=True)
            self._write()
            self.run.log_metrics(self._cost().metrics(), step=finished_count(self.study))
            if artist.finished(DRAW_PATIENCE):
                self._log_drawing(artist)
                self._describe()  # now it can name the page
            elif artist.is_busy:
                _logger.warning("the sweep's plots are not drawn: they took over %.0f s", DRAW_PATIENCE)
        finally:
            artist.drop()

    def _write(self) -> None:
        """Log table, best config and note."""
        self._energy.store()
        self._write_best_config()
        self.run.log_text(trials_csv(self.study), "trials.csv")
        self._describe()

    def _describe(self) -> None:
        text = note(
            self.study,
            self.place,
            self.budget,
            elapsed=time.monotonic() - self._began,
            commands=commands(self.study, self.budget, self.config, self.folder / BEST_CONFIG, self.app),
            artifacts=[
                *([PAGE] if self._has_page else []),
                *("trials.csv", *([BEST_CONFIG] if self._best is not None else [])),
            ],
            confirmed=self._confirmed(),
            compared=baseline_text(self.study, self.config_point),
            cost=self._cost().text(),
            troubles=output_troubles(),
        )
        self.run.describe(text)

    def _cost(self) -> SweepCost:
        return sweep_cost(self.study, self._energy.joules())

    def _confirmed(self) -> str:
        """Return what the confirm stage has written about itself, if it has ended."""
        file = self.folder / CONFIRM / SECTION
        return read_regular(file).decode() if file.exists() else ""

    def _write_best_config(self) -> None:
        """Write the file where its command expects it, and log it, if another trial is best now."""
        best = best_trials(self.study, 1)
        if not best or best[0].number == self._best:
            return
        trial, file = best[0], self.folder / BEST_CONFIG
        values = zip(public_values.objectives(self.study), trial.values, strict=True)
        results = ", ".join(f"{name} {value:.4f}" for name, value in values)
        run = f", run {trial.user_attrs[RUN_ID]}" if RUN_ID in trial.user_attrs else ""
        about = f"The best of sweep {self.study.study_name}: trial {trial.number}, {results}{run}."
        again = self.app.train(trial.params, file)
        about += f"\n  {again}" if again else ""
        write_whole(file, self.best_config(trial.params, about).encode())
        self.run.log_file(file)
        self._best = trial.number

    def _is_worth_drawing(self) -> bool:
        trials = self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        return len(trials) >= WORTH_DRAWING

    def _new_artist(self) -> Artist:
        self._artist = self._artist or Artist(self.folder, self.study.study_name)
        return self._artist

    def _log_drawing(self, artist: Artist) -> None:
        files, complaint = artist.take()
        for file in files:
            self.run.log_file(file, artist.name_of(file))
            self._has_page = self._has_page or file.name == PAGE
        artist.drop()
        if complaint:
            self._warn(complaint)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Say in one line what goes wrong, once a sweep and once at its end."""
        try:
            yield
        except Exception as error:
            self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, reason: str) -> None:
        self._has_failed = True
        _logger.warning("the sweep's report is not whole: %s", redacted(" ".join(reason.split()))[:300])
