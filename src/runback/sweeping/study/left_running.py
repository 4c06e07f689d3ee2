"""The trials of a study as it is on disk: those that nobody runs any more, and those that are paused."""

from dataclasses import dataclass
from pathlib import Path

from optuna.trial import TrialState

from runback.sweeping.shared.claims import attended_trials
from runback.sweeping.study.attributes import PARENT_RUN, RUN_ID
from runback.sweeping.study.optuna_internals import trial_id
from runback.sweeping.study.states import failure, is_paused
from runback.sweeping.study.study_store import FINISHED, find_confirm_study, read_study
from runback.sweeping.study.trial_label import confirm_label


@dataclass(frozen=True)
class StudyFacts:
    """A study, as it is on disk."""

    running: list[str]
    """Its RUNNING trials that no living coordinator of a shared study has, by their numbers, in the confirm
    stage with their seeds."""
    runs: set[str]
    """The IDs of all runs in MLflow that it knows: its trials' and its own."""
    paused: dict[int, str]
    """The numbers of its paused trials, and the IDs of their runs."""
    open_runs: set[str]
    """The IDs of the runs of trials that have not ended."""
    ended: list[int]
    """The numbers of the trials whose runs are done or pruned; not of those that have failed."""


def study_facts(folder: Path) -> StudyFacts:
    """Read the study in a sweep's folder. Raises InputError, StoreError."""
    study = read_study(folder, folder.name)
    confirming = find_confirm_study(study)
    attended = attended_trials(study) | (attended_trials(confirming) if confirming else set())
    named = [(str(trial.number), trial) for trial in study.get_trials(deepcopy=False)]
    if confirming is not None:
        trials = confirming.get_trials(deepcopy=False)
        named += [(confirm_label(trial).name.removeprefix("trial "), trial) for trial in trials]
    runs = {str(trial.user_attrs.get(RUN_ID, "")) for _, trial in named}
    runs.add(str(study.user_attrs.get(PARENT_RUN, "")))
    trials = study.get_trials(deepcopy=False)
    return StudyFacts(
        running=[
            name for name, one in named if one.state == TrialState.RUNNING and trial_id(one) not in attended
        ],
        runs=runs - {""},
        paused={one.number: str(one.user_attrs.get(RUN_ID, "")) for one in trials if is_paused(one)},
        open_runs={str(t.user_attrs.get(RUN_ID)) for _, t in named if not t.state.is_finished()},
        ended=[
            one.number
            for one in trials
            if one.state in FINISHED and RUN_ID in one.user_attrs and not failure(one)
        ],
    )
