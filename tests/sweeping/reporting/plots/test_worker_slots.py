import datetime
import itertools

from optuna.trial import TrialState

from runback.sweeping.reporting.plots.worker_slots import slot_times


def test_trials_that_overlap_have_slots_of_their_own(make_study):
    trials = make_study(40).trials
    found = {one.trial.number: one.slot for one in slot_times(trials)}
    assert set(found.values()) == {1, 2}
    for slot in (1, 2):
        spans = [(t.datetime_start, t.datetime_complete) for t in trials if found[t.number] == slot]
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_trial_that_waits_has_no_slot(make_study):
    study = make_study(2)
    study.enqueue_trial({})
    study.ask()
    study.enqueue_trial({})
    assert {one.trial.number for one in slot_times(study.trials)} == {0, 1, 2}


def test_a_trial_that_paused_has_a_part_for_each_time_and_another_one_its_slot_meanwhile(make_study):
    study = make_study(2, state=TrialState.PRUNED)
    first, second = study.trials
    began = first.datetime_start.timestamp()
    first.user_attrs["times"] = [[began, began + 10], [began + 20, began + 30]]
    first.state = TrialState.WAITING
    second.user_attrs["times"] = [[began + 12, began + 18], [began + 19]]
    found = slot_times([first, second])
    assert [(one.trial.number, one.part, one.slot) for one in found] == [
        *[(0, 1, 1), (1, 1, 1), (1, 2, 1)],
        (0, 2, 2),
    ]
    assert [(one.end - one.start).total_seconds() for one in found if one.end] == [10, 6, 10]
    assert found[2].end is None
    assert found[0].start == datetime.datetime.fromtimestamp(began)
