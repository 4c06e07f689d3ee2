import itertools

from runback.sweeping.reporting.plots.worker_slots import slots


def test_trials_that_overlap_have_slots_of_their_own(make_study):
    trials = make_study(40).trials
    found = slots(trials)
    assert set(found.values()) == {1, 2}
    for slot in (1, 2):
        spans = [(t.datetime_start, t.datetime_complete) for t in trials if found[t.number] == slot]
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_a_trial_that_waits_has_no_slot(make_study):
    study = make_study(2)
    study.enqueue_trial({})
    study.ask()
    study.enqueue_trial({})
    assert set(slots(study.trials)) == {0, 1, 2}
