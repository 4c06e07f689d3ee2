"""What a sweep has cost: time, energy, and what it would have cost without pruning."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.reporting import public_values
from runback.sweeping.study import states
from runback.sweeping.study.attributes import ENERGY, EPOCHS
from runback.system.energy import EnergyMeter
from runback.system.text.formatting import duration

KINDS = {"cpu": "processors", "gpu": "GPUs"}


@dataclass
class EnergyAccount:
    """Adds what the machine takes during this start of a sweep to what it took during those before."""

    study: Study
    _meter: EnergyMeter = field(default_factory=EnergyMeter)
    _before: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = self.study.user_attrs.get(ENERGY, {})

    def update(self) -> None:
        """Read the counters, which begin anew after a quarter of an hour under load at the earliest."""
        self._meter.update()

    def joules(self) -> dict[str, float]:
        """Return the joules of all starts, by `cpu` and `gpu`, as of the last update."""
        now = self._meter.joules
        return {kind: self._before.get(kind, 0.0) + now.get(kind, 0.0) for kind in {*self._before, *now}}

    def store(self) -> None:
        """Leave the joules of all starts with the study, for the next start."""
        if joules := self.joules():
            self.study.set_user_attr(ENERGY, joules)


@dataclass(frozen=True)
class SweepCost:
    """What the trials of a sweep have taken."""

    training_seconds: float
    """Of all trials together, without pauses."""
    saved_seconds: float
    """What the trials that ended or paused early would have taken besides, at the pace of each."""
    n_early: int
    """The number of those."""
    joules: Mapping[str, float]
    """By `cpu` and `gpu`, of the whole machine while the sweep ran; empty where nothing counts them."""

    def metrics(self) -> dict[str, float]:
        """Return it as metrics of the sweep's run."""
        energy = {f"{kind}_energy_joules": joules for kind, joules in self.joules.items()}
        return {
            "training_seconds": self.training_seconds,
            "pruning_saved_seconds": self.saved_seconds,
            **energy,
        }

    def text(self) -> str:
        """Return it for a person, in a line."""
        parts = [f"Cost: {duration(self.training_seconds)} of training"]
        if self.n_early:
            parts.append(f"pruning saved about {duration(self.saved_seconds)} ({self.n_early} ended early)")
        counted = [
            f"{joules / 3600:,.1f} Wh of {KINDS[kind]}" for kind, joules in sorted(self.joules.items())
        ]
        missing = [name for kind, name in KINDS.items() if kind not in self.joules]
        parts += [f"energy of the whole machine: {', '.join(counted)}"] if counted else []
        parts += [f"energy of {' and '.join(missing)} not measured: no counters"] if missing else []
        return "; ".join(parts)


def sweep_cost(study: Study, joules: Mapping[str, float]) -> SweepCost:
    """Return what a sweep has cost so far.

    A whole training has the epochs that the trial's run says, or as many steps as the longest trial that is
    done; where neither is known, nothing counts as saved.
    """
    trials = study.get_trials(deepcopy=False)
    done = (trial for trial in trials if trial.state == TrialState.COMPLETE)
    longest = max((max(trial.intermediate_values, default=0) for trial in done), default=0)
    early = [one for trial in trials if (one := _saved(trial, longest)) is not None]
    seconds = sum(public_values.seconds(trial) or 0.0 for trial in trials)
    return SweepCost(seconds, sum(early), len(early), joules)


def _saved(trial: FrozenTrial, longest: int) -> float | None:
    """Return the seconds that a trial would have gone on; None where it has not ended early."""
    if states.state(trial) not in ("pruned", "paused") or not trial.intermediate_values:
        return None
    step, seconds = max(trial.intermediate_values), public_values.seconds(trial)
    epochs = str(trial.user_attrs.get(EPOCHS, ""))
    whole = int(epochs) if epochs.isascii() and epochs.isdigit() else longest
    return None if seconds is None or step < 1 or whole <= step else seconds * (whole - step) / step
