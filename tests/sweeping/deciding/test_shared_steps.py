"""What a sampler learns from trials that have come more and less far."""

import math

import pytest
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.deciding.shared_steps import ranked_at_shared_steps


def trial(number, values, state=TrialState.PRUNED, *, value=None, ended_by=None) -> FrozenTrial:
    made = proposed_trial(number, {"x": 0.5}, {"x": FloatDistribution(0, 1)})
    made.state = state
    made.value = values[-1] if value is None and state == TrialState.COMPLETE else value
    made.user_attrs = {} if ended_by is None else {"ended_by": ended_by}
    made.intermediate_values = dict(enumerate(values, 1))
    return made


def order(*trials, direction=StudyDirection.MAXIMIZE):
    learned = ranked_at_shared_steps(trials, direction)
    assert all(one.state == TrialState.COMPLETE for one in learned)
    is_lower_better = direction == StudyDirection.MINIMIZE
    return [
        one.number for one in sorted(learned, key=lambda one: one.value if is_lower_better else -one.value)
    ]


def test_two_are_compared_at_the_last_step_that_they_share():
    complete = trial(0, [0.1, 0.2, 0.25], TrialState.COMPLETE)
    assert order(complete, trial(1, [0.15])) == [1, 0]
    assert order(complete, trial(1, [0.05])) == [0, 1]
    assert order(complete, trial(1, [0.05, 0.3])) == [1, 0]


def test_what_is_complete_is_not_better_for_that():
    at_chance = trial(0, [0.1] * 9, TrialState.COMPLETE)
    assert order(at_chance, trial(1, [0.2]), trial(2, [0.3, 0.4])) == [2, 1, 0]


def test_the_best_value_so_far_counts():
    assert order(trial(0, [0.294, 0.216]), trial(1, [0.2, 0.25])) == [0, 1]


def test_lower_may_be_better():
    trials = [trial(0, [2.0, 1.0]), trial(1, [3.0]), trial(2, [1.5, 0.5])]
    assert order(*trials, direction=StudyDirection.MINIMIZE) == [2, 0, 1]


def test_running_and_paused_ones_are_learned_from_and_those_without_a_report_are_not():
    running = trial(1, [0.5], TrialState.RUNNING)
    begun = trial(2, [], TrialState.RUNNING)
    failed = trial(3, [0.9], TrialState.WAITING)
    learned = ranked_at_shared_steps([trial(0, [0.2]), running, begun, failed], StudyDirection.MAXIMIZE)
    states = [one.state for one in learned]
    assert states == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING, TrialState.COMPLETE]
    assert [one.value for one in learned if one.values] == [0.0, 0.5, 1.0]
    assert running.state == TrialState.RUNNING  # what is in the study stays as it is


@pytest.mark.parametrize("values", [[], [math.nan], [-math.inf]])
def test_one_that_diverged_at_once_is_the_worst(values):
    assert order(trial(0, [0.01]), trial(1, values), trial(2, [0.02])) == [2, 0, 1]


def test_equal_ones_share():
    learned = ranked_at_shared_steps([trial(n, [0.3]) for n in range(3)], StudyDirection.MAXIMIZE)
    assert {one.value for one in learned} == {0.5}


def test_one_alone_has_half():
    assert ranked_at_shared_steps([trial(0, [0.3])], StudyDirection.MAXIMIZE)[0].value == 0.5


@pytest.mark.parametrize("direction", [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE])
@pytest.mark.parametrize("ended_by", ["diverged", "out_of_memory", "input"])
def test_one_that_its_params_have_ended_is_the_worst_whatever_it_reported(direction, ended_by):
    good = 0.6 if direction == StudyDirection.MAXIMIZE else 0.01
    ended = trial(1, [good, good], ended_by=ended_by)
    whole = trial(0, [0.1, 0.2], TrialState.COMPLETE)
    assert order(ended, whole, trial(2, [0.1]), direction=direction)[-1] == 1


def test_one_that_failed_by_no_fault_of_its_params_counts_by_its_reports():
    assert order(trial(0, [0.1]), trial(1, [0.6], TrialState.FAIL, ended_by="timeout")) == [1, 0]


@pytest.mark.parametrize("direction", [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE])
def test_what_is_complete_without_a_report_is_compared_by_its_value(direction):
    sign = 1 if direction == StudyDirection.MAXIMIZE else -1
    silent = trial(0, [], TrialState.COMPLETE, value=350.0 + sign * 5)
    better = trial(1, [350.0 + sign * 2, 350.0 + sign * 10])
    worse = trial(2, [350.0 + sign])
    assert order(silent, better, worse, direction=direction) == [1, 0, 2]


@pytest.mark.parametrize("direction", [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE])
def test_where_none_reports_the_values_are_compared(direction):
    worst = trial(1, [], ended_by="out_of_memory")
    done = [trial(n, [], TrialState.COMPLETE, value=v) for n, v in ((0, 350.0), (2, 2.0), (3, -7.0))]
    ranks = [0, 2, 3] if direction == StudyDirection.MAXIMIZE else [3, 2, 0]
    assert order(worst, *done, direction=direction) == [*ranks, 1]
