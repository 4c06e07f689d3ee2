"""The one place where trials are made: those of a search, and those of its confirm stage."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from runback.sweeping.study.trial_label import Label
from runback.sweeping.trials.hydra_job import Composer
from runback.sweeping.trials.trial import Trial


@dataclass(frozen=True)
class TrialFactory:
    """Makes the trials of a study, of a search or of its confirm stage: composed, labelled and frozen."""

    composer: Composer
    sweep: str
    threads: int
    """A trial's share of the CPU's."""
    parent: str | None
    """The run ID of the sweep's MLflow run; None: the sweep is not tracked."""
    overrides: Callable[[Mapping[str, Any]], Sequence[str]]
    """Returns the overrides that give the config a trial's params."""
    label: Callable[[FrozenTrial], Label]
    is_in_label_folder: bool = False
    """Whether a trial's folder is its label's; else the app's config names it."""

    def __call__(self, proposed: FrozenTrial, previous_run_id: str | None, device: str | None) -> Trial:
        """Return the trial that trains with the params of `proposed`, on `device` (see `Trial`).

        Errors: as `Composer.compose`.
        """
        label = self.label(proposed)
        within = label.folder if self.is_in_label_folder else None
        config = self.composer.compose(proposed.number, self.overrides(proposed.params), within)
        return Trial.of(
            self.composer.call_task(config),
            number=proposed.number,
            sweep=self.sweep,
            folder=Path(config.hydra.sweep.dir).absolute() / str(config.hydra.sweep.subdir),
            threads=self.threads,
            parent=self.parent,
            label=label,
            previous_run_id=previous_run_id,
            device=device,
        )
