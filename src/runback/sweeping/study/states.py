"""The states of trials, counted for a person."""

from collections import Counter
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.attributes import ENDED_BY, FAILURE


def failure(trial: FrozenTrial) -> str | None:
    """Return the kind of the failure that ended a trial for good; None where none did."""
    if trial.state == TrialState.FAIL or (trial.state == TrialState.PRUNED and ENDED_BY in trial.user_attrs):
        return str(trial.user_attrs.get(FAILURE, "lost")).split(":")[0]
    return None


def has_result(trials: Sequence[FrozenTrial]) -> bool:
    """Tell whether any trial was completed, or pruned for what it reported, and not for a failure."""
    finished = (TrialState.COMPLETE, TrialState.PRUNED)
    return any(trial.state in finished and failure(trial) is None for trial in trials)


def state(trial: FrozenTrial) -> str:
    """Return one word: done, pruned, failed, running or waiting."""
    if failure(trial) is not None:
        return "failed"
    return "done" if trial.state == TrialState.COMPLETE else trial.state.name.lower()


def counts(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return how many trials ended in each way, a text each, and how many wait to go on."""
    states = Counter(map(state, trials))
    kinds = Counter(kind for kind in map(failure, trials) if kind is not None)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [
        f"{states['done']} done",
        f"{states['pruned']} pruned",
        f"{states['failed']} failed{f' ({listed})' if listed else ''}",
        *([f"{states['waiting']} to go on"] if states["waiting"] else []),
    ]
