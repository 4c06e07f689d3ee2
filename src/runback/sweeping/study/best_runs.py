"""Finds the runs of a sweep's best finished trials."""

from pathlib import Path
from typing import Any

from runback.errors import InputError
from runback.system.text.listing import did_you_mean
from runback.tracking.layout import Layout

FILES = ("study.db", "study.json")
"""The study, or what says where it is: `study_store` reads them, and takes long to import."""


def best_runs(layout: Layout, name: str) -> list[dict[str, Any]]:
    """Return run ID, trial number, values and parameters of a sweep's best trial.

    With several objectives these are the trials of the Pareto front. Errors: InputError for an unknown sweep
    or one without a finished trial.
    """
    folder = study_folder(layout, name)

    from runback.sweeping.study.attributes import RUN_ID
    from runback.sweeping.study.study_store import best_trials, read_study

    study = read_study(folder, name)
    several = len(study.directions) > 1
    best = [t for t in best_trials(study, len(study.trials) if several else 1) if RUN_ID in t.user_attrs]
    if not best:
        raise InputError(f"sweep {name} has no finished trial that MLflow knows")
    return [
        {"run_id": t.user_attrs[RUN_ID], "trial": t.number, "values": t.values, "params": t.params}
        for t in best
    ]


def study_folder(layout: Layout, name: str) -> Path:
    """Return the folder of a sweep that has begun. Errors: InputError, naming the nearest one."""
    known = sorted({file.parent.name for one in FILES for file in layout.sweeps.glob(f"*/{one}")})
    if name not in known:
        hint = did_you_mean(name, known, f"there are {', '.join(known) or 'no sweeps yet'}")
        raise InputError(f"unknown sweep '{name}': {hint}")
    for file in FILES:
        layout.inside(layout.sweep(name) / file, f"the study of sweep {name}")
    return layout.sweep(name)
