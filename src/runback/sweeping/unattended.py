"""What a study says about trials that nobody runs any more."""

from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from runback.sweeping.parent import PARENT_RUN
from runback.sweeping.study import read_study


@dataclass(frozen=True)
class StudyFacts:
    """A study, as it is on disk."""

    running: list[int]
    """The numbers of its RUNNING trials."""
    runs: set[str]
    """The IDs of all runs in MLflow that it knows: its trials' and its own."""


def study_facts(folder: Path) -> StudyFacts:
    """Read the study in a sweep's folder. Raises InputError, StoreError."""
    study = read_study(folder, folder.name)
    trials = study.get_trials(deepcopy=False)
    runs = {str(trial.user_attrs.get("run_id", "")) for trial in trials}
    runs.add(str(study.user_attrs.get(PARENT_RUN, "")))
    return StudyFacts([t.number for t in trials if t.state == TrialState.RUNNING], runs - {""})
