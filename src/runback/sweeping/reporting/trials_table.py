"""The table of a sweep's trials: a row each, for pandas and for spreadsheets."""

from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from runback.sweeping.reporting import public_values
from runback.sweeping.study import states
from runback.sweeping.study.attributes import FAILURE, RUN_ID
from runback.sweeping.study.training_times import training_times
from runback.system.secrecy import redacted
from runback.system.text.frame_csv import frame_csv


def trials_csv(study: Study) -> str:
    """Return CSV with the columns number, state, the objectives, the params by their full names, then
    started (ISO 8601, local time), seconds (trained, without pauses), pruned_at (a step), failure (its kind
    and reason), run_id.
    """
    import pandas as pd

    trials = study.get_trials(deepcopy=False)
    objectives = public_values.objectives(study)
    params = list(dict.fromkeys(name for trial in trials for name in trial.params))
    columns = [
        "number",
        "state",
        *objectives,
        *params,
        "started",
        "seconds",
        "pruned_at",
        "failure",
        "run_id",
    ]
    frame = pd.DataFrame([_row(trial, objectives) for trial in trials], columns=columns)
    frame["pruned_at"] = frame["pruned_at"].astype("Int64")
    return frame_csv(frame)


def _row(trial: FrozenTrial, objectives: list[str]) -> dict[str, Any]:
    state = states.state(trial)
    values = trial.values if state == "done" else [None] * len(objectives)
    start = next((start for start, _ in training_times(trial)), trial.datetime_start)
    seconds = public_values.seconds(trial)
    reason = trial.user_attrs.get(FAILURE) if state == "failed" else None
    return {
        **{name: public_values.param(name, value) for name, value in trial.params.items()},
        **dict(zip(objectives, values, strict=True)),
        "number": trial.number,
        "state": state,
        "started": None if start is None else start.isoformat(timespec="seconds"),
        "seconds": None if seconds is None else round(seconds, 3),
        "pruned_at": public_values.pruned_at(trial),
        "failure": None if reason is None else redacted(reason),
        "run_id": trial.user_attrs.get(RUN_ID),
    }
