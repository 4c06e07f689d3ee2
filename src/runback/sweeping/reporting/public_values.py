"""The public values of a trial: its objectives, its params without secrets, and its times."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.attributes import PRUNED_AT
from runback.sweeping.study.training_times import training_times
from runback.system.secrecy import redacted, secret_key
from runback.system.text.formatting import short_names


def objectives(study: Study) -> list[str]:
    """Return the objectives' names; where the app gives none, `value`, or `value_0`, `value_1`, ..."""
    if study.metric_names is not None:
        return list(study.metric_names)
    return ["value"] if len(study.directions) == 1 else [f"value_{i}" for i in range(len(study.directions))]


def param_names(trials: Sequence[FrozenTrial]) -> dict[str, str]:
    """Return the short name of each param that trials have and that more than one value was there for."""
    varied = {
        name: None for trial in trials for name, axis in trial.distributions.items() if not axis.single()
    }
    return short_names(varied)


def param(name: str, value: Any) -> Any:
    """Return a param's value; of a text, without what is secret in it."""
    if not isinstance(value, str):
        return value
    return "***" if secret_key(name) else redacted(value)


def seconds(trial: FrozenTrial) -> float | None:
    """Return how long a trial was trained, without pauses; None while it runs, and before that."""
    times = training_times(trial)
    spans = [end - start for start, end in times if end is not None]
    return sum(span.total_seconds() for span in spans) if spans and len(spans) == len(times) else None


def pruned_at(trial: FrozenTrial) -> int | None:
    """Return the step at which it was decided that a trial ends; None where it was not."""
    return trial.user_attrs.get(PRUNED_AT) if trial.state == TrialState.PRUNED else None


def path(file: Path) -> str:
    """Return how a command names a file: from the working directory, if it lies below."""
    here = Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)
