"""What is trained next where trials pause: the study as it is decides, on trials that no process trains."""

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.pruners import NopPruner
from optuna.trial import TrialState

from runback.sweeping.deciding.promoting import PromotingDecisions
from runback.sweeping.deciding.promotion import Promotion
from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.study.attributes import EPOCHS, PARTS, PAUSED_AT
from runback.sweeping.study.study_store import TrialEntry, create_entry

AXES = {"x": FloatDistribution(0, 1)}


class Proposes:
    """Proposes points one after the other."""

    def has_more(self, asked):
        return True

    def propose(self, study, known, asked, pruner):
        return proposed_trial(len(asked), {"x": len(asked) / 100}, AXES)


def decisions(**knobs):
    study = optuna.create_study(direction="maximize")
    return PromotingDecisions(study, Proposes(), NopPruner, **knobs)


def add(decides, state, values, **attributes):
    """Put a trial into the study that has reported these values."""
    number = len(trials(decides))
    made = proposed_trial(number, {"x": 0.5}, AXES)
    made.user_attrs = {PARTS: [[number, 0]], **attributes}
    entry = create_entry(decides.study, made)
    for step, value in enumerate(values, 1):
        entry.report(step, value)
    if state == "paused":
        entry.note(PAUSED_AT, len(values))
        entry.wait()
    elif state != "running":
        decides.study.tell(number, values[-1] if state == "done" else None, state=STATES[state])
    return entry


STATES = {"done": TrialState.COMPLETE, "failed": TrialState.FAIL, "pruned": TrialState.PRUNED}


def trials(decides):
    return decides.study.get_trials(deepcopy=False)


def test_no_trial_pauses_at_the_end_that_the_sweep_knows():
    decides = decisions(max_resource=9)
    entry = add(decides, "running", [0.1] * 9)
    assert [step for step in range(1, 10) if decides.pauses(entry, step)] == [*range(1, 9)]


def test_a_trials_own_length_comes_before_the_sweeps():
    decides = decisions(max_resource=9)
    entry = add(decides, "running", [0.1] * 9, **{EPOCHS: "27"})
    assert decides.pauses(entry, 9)
    assert not decides.pauses(entry, 27)


def test_a_failed_trial_takes_nobodys_place():
    decides = decisions(promotion=Promotion(eager=False))
    add(decides, "failed", [0.9])
    for value in (0.1, 0.3, 0.2):
        add(decides, "paused", [value])
    assert decides.eliminated(trials(decides), 3) == [1, 3]
    assert decides.next_trial(trials(decides)).number == 2


def test_with_a_window_no_paused_trial_is_given_up_before_the_end():
    decides = decisions(window=2)
    for value in (0.1, 0.3, 0.2):
        add(decides, "paused", [value])
    assert decides.eliminated(trials(decides), 3) == []


def test_without_a_window_the_baseline_never_pauses():
    decides = decisions(has_baseline=True)
    entry = add(decides, "running", [0.1])
    assert not decides.pauses(entry, 1)


@pytest.mark.parametrize("n_workers", [2, 3])
def test_with_a_window_the_baseline_goes_on_at_once_in_parts_that_are_counted(n_workers):
    decides = decisions(has_baseline=True, window=n_workers)
    baseline = add(decides, "running", [0.01])
    for _ in range(n_workers - 1):
        add(decides, "running", [])
    baseline.note(PAUSED_AT, 1)
    assert decides.pauses(baseline, 1)
    assert decides.goes_on(baseline, trials(decides), may_begin=True)
    assert baseline.attributes[PARTS] == [[0, 0], [n_workers, 1]]
    assert decides.next_trial(trials(decides)) is None  # trial 1 has not come to its first rung
    others = [add_report(decides, number) for number in range(1, n_workers)]
    for entry in others:
        entry.note(PAUSED_AT, 1)
        entry.wait()
    assert decides.next_trial(trials(decides)).number == n_workers  # though the baseline still trains


def add_report(decides, number):
    entry = TrialEntry(decides.study, trials(decides)[number])
    entry.report(1, 0.5)
    return entry


@pytest.mark.parametrize("window", [None, 2])
def test_a_paused_baseline_comes_before_better_ones(window):
    decides = decisions(has_baseline=True, window=window)
    for value in (0.01, 0.3, 0.2, 0.1):
        add(decides, "paused", [value])
    assert decides.next_trial(trials(decides)).number == 0


@pytest.mark.parametrize("has_baseline", [False, True])
def test_a_trial_that_is_about_to_pause_goes_on_in_no_second_process(has_baseline):
    """It is among the best, but its process still writes the checkpoint: nothing else takes its turn."""
    decides = decisions(has_baseline=has_baseline)
    entry = add(decides, "running", [0.9])
    for value in (0.3, 0.2):
        add(decides, "paused", [value])
    entry.note(PAUSED_AT, 1)
    assert decides.next_trial(trials(decides)) is None
    assert entry.attributes[PARTS] == [[0, 0]]
    entry.wait()
    assert decides.next_trial(trials(decides)).number == 0
