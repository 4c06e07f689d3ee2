"""Which trials pause, and which of the paused ones go on."""

import random
from dataclasses import replace

import pytest

from runback.errors import InputError
from runback.sweeping.deciding.promotion import Progress, Promotion

PROMOTION = Promotion()


def paused(number, *values):
    return Progress(number, "paused", dict(enumerate(values, 1)))


def running(number, *values):
    return Progress(number, "running", dict(enumerate(values, 1)))


def ended(number, *values):
    return Progress(number, "ended", dict(enumerate(values, 1)))


@pytest.mark.parametrize(
    ("step", "start_step", "epochs", "pauses"),
    [
        (1, 0, 9, True),
        (2, 1, 9, False),
        (3, 1, 9, True),
        (3, 3, 9, False),  # it was let go on from there
        (9, 3, 9, False),  # its end
        (9, 3, 10, True),
        (9, 3, None, True),
        (5, 0, 20, True),  # it reports every fifth step only
        (10, 5, 20, True),
        (7, 5, 20, False),
    ],
)
def test_a_trial_pauses_at_rungs_before_its_end(step, start_step, epochs, pauses):
    assert PROMOTION.pauses(step, start_step, epochs) is pauses


def test_rungs_begin_where_they_are_told_to():
    promotion = Promotion(min_resource=2, reduction_factor=4)
    assert [promotion.rung(step) for step in (1, 2, 7, 8, 31, 32)] == [0, 2, 2, 8, 8, 32]


def test_one_of_three_goes_on():
    assert PROMOTION.next_paused([paused(0, 0.1), paused(1, 0.3)]) is None
    assert PROMOTION.next_paused([paused(0, 0.1), paused(1, 0.3), paused(2, 0.2)]) == 1
    assert PROMOTION.next_paused([paused(0, 0.1), running(1, 0.3, 0.3), paused(2, 0.2)]) is None


def test_whoever_was_first_keeps_no_better_one_back():
    """Whoever went on early is no reason to keep a better one back."""
    trials = [running(0, 0.5, 0.5), paused(1, 0.4), paused(2, 0.2), paused(3, 0.9), paused(4, 0.1)]
    assert PROMOTION.next_paused(trials) == 3
    assert PROMOTION.next_paused([*trials[:3], running(3, 0.9, 0.9), *trials[4:]]) is None
    assert PROMOTION.next_paused([*trials[:3], running(3, 0.9, 0.9), trials[4], paused(5, 0.3)]) is None
    six = [running(0, 0.3, 0.3), paused(1, 0.4), paused(2, 0.2), running(3, 0.9, 0.9), *trials[4:]]
    assert PROMOTION.next_paused([*six, paused(5, 0.1)]) == 1


def test_the_furthest_come_first():
    third = [paused(0, 0.1, 0.2, 0.6), paused(1, 0.1, 0.2, 0.5), paused(2, 0.1, 0.2, 0.4)]
    first = [paused(number, 0.05) for number in range(3, 9)] + [paused(9, 0.9)]
    assert PROMOTION.next_paused([*third, *first]) == 0
    assert PROMOTION.next_paused([running(0, 0.1, 0.2, 0.6), *third[1:], *first]) == 9


def test_the_best_beyond_the_first_rung_goes_on_at_once():
    third = [paused(0, 0.1, 0.2, 0.6), paused(1, 0.1, 0.2, 0.5)]
    assert PROMOTION.next_paused(third) == 0
    assert PROMOTION.next_paused([running(0, 0.1, 0.2, 0.6), third[1]]) is None
    assert Promotion(eager=False).next_paused(third) is None


def test_the_best_value_so_far_is_compared_or_the_last():
    trials = [paused(0, 0.294, 0.1, 0.216), paused(1, 0.2, 0.2, 0.25), paused(2, 0.1, 0.1, 0.1)]
    assert PROMOTION.next_paused(trials) == 0
    assert Promotion(value="last").next_paused(trials) == 1


def test_what_a_trial_came_to_later_does_not_count_at_a_rung():
    trials = [running(0, 0.1, 0.9, 0.9, 0.9), paused(1, 0.2), paused(2, 0.15)]
    assert PROMOTION.next_paused(trials) == 1


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_value_that_is_no_number_is_the_worst(value):
    assert PROMOTION.next_paused([paused(0, value), paused(1, -5.0), paused(2, value)]) == 1


def test_a_trial_that_ended_before_a_rung_has_been_there():
    assert PROMOTION.next_paused([ended(0), ended(1), paused(2, 0.01)]) == 2
    assert PROMOTION.next_paused([ended(0), ended(1, 0.5), paused(2, 0.01)]) is None


def test_who_was_given_up_at_a_rung_was_not_on_its_way_to_the_next():
    third = [paused(0, 0.1, 0.2, 0.6), paused(1, 0.1, 0.2, 0.5)]
    given_up = [ended(number, 0.05) for number in range(2, 9)]
    promotion = Promotion(eager=False)
    assert promotion.next_paused([*third, *given_up]) is None
    diverged = Progress(9, "ended", {1: 0.5, 2: float("nan")}, start_step=1)
    assert promotion.next_paused([*third, *given_up, diverged]) == 0


def test_at_the_end_the_best_of_each_rung_goes_on():
    trials = [paused(0, 0.1), paused(1, 0.3)]
    assert PROMOTION.next_paused(trials, is_end=True) == 1
    assert PROMOTION.next_paused([paused(0, 0.1), ended(1, 0.3)], is_end=True) is None


def test_without_hope_is_who_cannot_be_among_the_best_any_more():
    trials = [paused(0, 0.1), paused(1, 0.3), paused(2, 0.2), paused(3, 0.4)]
    assert PROMOTION.eliminated(trials, n_trials=9) == [0]
    assert PROMOTION.eliminated(trials, n_trials=24) == []
    assert PROMOTION.eliminated(trials, n_trials=4) == [0, 1, 2]


def test_all_trials_that_are_to_come_may_come_to_a_further_rung():
    """Each new trial may be the best of the first rung when it comes there, and go on from it."""
    third = [paused(number, 0.1, 0.1, number / 10) for number in range(3)]
    assert PROMOTION.eliminated(third, n_trials=9) == []
    assert PROMOTION.eliminated(third, n_trials=5) == [0, 1]
    given_up = [ended(number, 0.05) for number in range(3, 9)]
    assert PROMOTION.eliminated([*third, *given_up], n_trials=9) == [0, 1]


def test_fewer_trials_than_there_are_already_take_nobodys_hope():
    trials = [paused(number, number / 10) for number in range(12)]
    assert PROMOTION.eliminated(trials, n_trials=5) == [*range(8)]
    assert going_on(trials) == [11, 10, 9, 8]


def test_a_failed_trial_counts_for_nothing():
    failed = [Progress(number, "failed", {1: 0.9}) for number in range(6)]
    nine = [paused(number, number / 100) for number in range(6, 15)]
    assert going_on([*failed, *nine]) == [14, 13, 12]
    assert PROMOTION.eliminated([*failed, *nine], n_trials=9) == [*range(6, 12)]
    best_at_nine = [Progress(0, "failed", dict.fromkeys(range(1, 12), 0.9), start_step=9)]
    next_best = [paused(1, *[0.1] * 9), paused(2, *[0.2] * 9)]
    assert Promotion(eager=False).next_paused([*best_at_nine, *next_best], is_end=True) == 2


def going_on(trials):
    """Return who goes on, one after the other, where all of them come to nothing."""
    trials, found = {trial.number: trial for trial in trials}, []
    while (number := PROMOTION.next_paused([*trials.values()])) is not None:
        found.append(number)
        trials[number] = running(number, *trials[number].values.values(), 0.0)
    return found


@pytest.mark.parametrize("every", [1, 4])
def test_who_goes_on_was_never_without_hope(every):
    """Whatever the order of the values: none of 30 trials that was without hope would have gone on.

    They report every step, or every fourth; some diverge on their way, some fail before they come to a rung.
    """
    n_without_hope = 0
    for seed in range(60):
        draw, trials, without_hope = random.Random(seed), {}, set()  # noqa: S311 - values, no secrets
        begin = iter(range(45))
        while True:
            seen = [*trials.values()]
            n = sum(trial.state != "failed" for trial in seen)
            lost = set(PROMOTION.eliminated(seen, 30))
            without_hope |= lost
            for number in lost if draw.random() < 0.5 else ():
                trials[number] = replace(trials[number], state="ended")
            number = PROMOTION.next_paused(seen, is_end=n >= 30)
            assert number not in without_hope
            if number is None and n >= 30:
                break
            is_new = number is None
            number = next(begin) if is_new else number
            before = Progress(number, "running") if is_new else trials[number]
            trials[number] = trained(before, draw, every, may_fail=is_new)
        n_without_hope += len(without_hope)
    assert n_without_hope > 60 * 10


def trained(trial, draw, every, *, may_fail):
    """Return a trial that has trained up to its next rung, diverged, failed, or come to its end at 27."""
    step, values, start = trial.step, dict(trial.values), trial.step
    fate = draw.random()
    while True:
        step += every
        values[step] = draw.random()
        if fate < 0.1:
            state = "ended" if fate < 0.05 or not may_fail else "failed"
            return Progress(trial.number, state, values, start)
        if step >= 27:
            return Progress(trial.number, "ended", values, start)
        if PROMOTION.pauses(step, start, 27):
            return Progress(trial.number, "paused", values, start)


def test_where_steps_are_far_apart_the_first_rung_is_the_first_that_trials_come_to():
    """Reports at 10, 20, 30: the first rung is 9, at which nobody goes on at once."""
    tens = [Progress(number, "paused", {10: number / 10}) for number in range(3)]
    assert PROMOTION.next_paused(tens[:1]) is None
    assert PROMOTION.next_paused(tens) == 2
    beyond = Progress(3, "paused", {10: 0.9, 20: 0.9, 30: 0.9}, start_step=10)
    assert PROMOTION.next_paused([tens[0], beyond]) == 3
    diverged = Progress(3, "ended", {5: 0.1})
    assert PROMOTION.next_paused([*tens[:2], diverged]) == 1


@pytest.mark.parametrize(
    ("knobs", "text"),
    [
        ({"min_resource": 0}, "hydra.sweeper.pruner.min_resource must be a whole number from 1; got 0"),
        ({"min_resource": 1.5}, "min_resource must be a whole number from 1; got 1.5"),
        ({"reduction_factor": 1}, "reduction_factor must be a whole number from 2; got 1"),
        ({"reduction_factor": True}, "reduction_factor must be a whole number from 2; got True"),
        ({"eager": 1}, "eager must be true or false; got 1"),
        ({"value": "mean"}, "value must be best or last; got 'mean'"),
    ],
)
def test_what_is_no_promotion_is_refused(knobs, text):
    with pytest.raises(InputError, match=text):
        Promotion(**knobs)
