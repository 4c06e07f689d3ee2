"""The states of trials, counted for a person."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.attributes import ENDED_BY, FAILURE, PARTS, PAUSED_AT
from runback.sweeping.trials import messages


def failure(trial: FrozenTrial) -> str | None:
    """Return the kind of the failure that ended a trial for good; None where none did."""
    if trial.state == TrialState.FAIL or (trial.state == TrialState.PRUNED and ENDED_BY in trial.user_attrs):
        return str(trial.user_attrs.get(FAILURE, "lost")).split(":")[0]
    return None


def outcome(trial: FrozenTrial) -> messages.Outcome:
    """Return how a trial ended that has ended for good."""
    kind = failure(trial)
    if kind is not None:
        reason = str(trial.user_attrs.get(FAILURE, "")).partition(": ")[2]
        return messages.Failed(kind, reason or kind)
    return messages.Pruned() if trial.state == TrialState.PRUNED else messages.Completed(tuple(trial.values))


def is_paused(trial: FrozenTrial) -> bool:
    """Tell whether a trial is paused, or is about to be: no part of it was begun since that was decided."""
    is_open = trial.state in (TrialState.WAITING, TrialState.RUNNING)
    return is_open and last_pause(trial.user_attrs) < trial.user_attrs.get(PAUSED_AT, 0)


def last_pause(attributes: Mapping[str, Any]) -> int:
    """Return the step of the last pause that a trial with these attributes has gone on from; 0: from none."""
    parts = attributes.get(PARTS, [])
    return int(parts[-1][1]) if parts else 0


def has_paused(trial: FrozenTrial) -> bool:
    """Tell whether a trial has paused, or is about to, whatever has become of it since."""
    return bool(trial.user_attrs.get(PAUSED_AT))


def state(trial: FrozenTrial) -> str:
    """Return one word: done, pruned, failed, running, paused or waiting."""
    if failure(trial) is not None:
        return "failed"
    if trial.state == TrialState.WAITING and is_paused(trial):
        return "paused"
    return "done" if trial.state == TrialState.COMPLETE else trial.state.name.lower()


def paused_trials(trials: Sequence[FrozenTrial], direction: StudyDirection, count: int) -> list[FrozenTrial]:
    """Return up to `count` paused trials: those that have come furthest first, of these the better ones."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1
    paused = [trial for trial in trials if state(trial) == "paused" and trial.intermediate_values]

    def rank(trial: FrozenTrial) -> tuple[int, float]:
        step = max(trial.intermediate_values)
        value = sign * trial.intermediate_values[step]
        return -step, math.inf if math.isnan(value) else value

    return sorted(paused, key=rank)[:count]


def reached(trial: FrozenTrial) -> str:
    """Return the last value that a trial has reported, and its step, for a person."""
    step = max(trial.intermediate_values)
    return f"{trial.intermediate_values[step]:.4f} after step {step}"


def counts(trials: Sequence[FrozenTrial]) -> list[str]:
    """Return how many trials ended in each way, a text each, and how many wait to go on."""
    states = Counter(map(state, trials))
    kinds = Counter(kind for kind in map(failure, trials) if kind is not None)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [
        f"{states['done']} done",
        f"{states['pruned']} pruned",
        f"{states['failed']} failed{f' ({listed})' if listed else ''}",
        *([f"{states['paused']} paused"] if states["paused"] else []),
        *([f"{states['waiting']} to go on"] if states["waiting"] else []),
    ]
