"""The arithmetic of the table: censored searches, medians, and how many times ahead."""

import math

import pytest

from peers_table import RealSearch, median_of, summary, table, times_ahead

NEVER = math.inf


def search(contender, seed, wall=100.0, *reports):
    return RealSearch(contender, seed, wall, reports)


def test_a_search_is_measured_by_its_reports():
    one = search("runback", 0, 50.0, (10.0, 0.31), (20.0, 0.52), (40.0, 0.55))
    assert one.seconds_to(0.5) == 20
    assert one.seconds_to(0.55) == 40
    assert one.best == 0.55
    assert one.speed(5000) == 3 * 5000 / 50
    assert summary(one, 5000, 0.5) == "images/s 300, wall s 50, best 0.550, s to val_accuracy 0.50 20"


def test_a_search_that_does_not_reach_the_level_is_censored_and_not_as_long_as_it_took():
    one = search("runback", 0, 50.0, (10.0, 0.31))
    assert one.seconds_to(0.5) == NEVER
    assert summary(one, 5000, 0.5).endswith("s to val_accuracy 0.50 never")


def test_a_search_without_a_report_has_no_best_value():
    one = search("runback", 0, 50.0)
    assert (one.seconds_to(0.0), one.speed(5000)) == (NEVER, 0)
    assert summary(one, 5000, 0.5).startswith("images/s 0, wall s 50, best -, ")


@pytest.mark.parametrize(
    ("values", "value", "high"),
    [
        ([106, NEVER, 90], 106, NEVER),
        ([143, 207, 239], 207, 239),
        ([NEVER, 106, NEVER], NEVER, NEVER),
        ([50, 60], 50, 60),  # Kaplan and Meier's: half have come to the level after 50
    ],
)
def test_a_median_counts_censored_searches_as_the_longest(values, value, high):
    found = median_of(values)
    assert (found.value, found.low, found.high) == (value, min(values), high)


@pytest.mark.parametrize(
    ("ours", "theirs", "more_is_better", "value"),
    [
        ([1500, 1600, 1550], [1000, 1200, 1100], True, 1550 / 1100),
        ([100, 200, 150], [300, 300, 450], False, 2),
        ([100, 200, 150], [NEVER, NEVER, 300], False, NEVER),
        ([100, 200, NEVER], [NEVER, 400, 300], False, 2),
        ([NEVER, NEVER, 100], [90, 80, 70], False, 0),
    ],
)
def test_ahead_is_above_1_whether_more_or_less_is_better(ours, theirs, more_is_better, value):
    found = times_ahead(ours, theirs, more_is_better=more_is_better)
    assert found.value == value
    assert found.low <= value <= found.high


def test_nothing_is_known_of_two_that_never_reach_the_level():
    assert math.isnan(times_ahead([NEVER] * 3, [NEVER] * 3, more_is_better=False).value)


def test_an_interval_is_of_the_seeds_that_are_drawn_in_pairs():
    slow = [100.0, 200.0, 300.0, 400.0, 500.0]
    found = times_ahead([one / 2 for one in slow], slow, more_is_better=False)
    assert (found.value, found.low, found.high) == (2, 2, 2)


def test_the_table_has_each_seed_the_medians_and_how_far_it_is_ahead():
    searches = [
        search("optuna", 1, 300.0, (150.0, 0.5)),
        search("runback", 0, 100.0, (20.0, 0.4), (50.0, 0.6)),
        search("runback", 1, 200.0, (60.0, 0.5), (80.0, 0.5)),
        search("optuna", 0, 400.0, (100.0, 0.3)),
    ]
    lines = [" ".join(line.split()) for line in table(searches, 6000, 0.5, ["runback"])]
    assert lines == [
        "each seed images/s wall s best s to val_accuracy 0.50",
        "optuna 15 · 20 400 · 300 0.300 · 0.500 never · 150",
        "runback 120 · 60 100 · 200 0.600 · 0.500 50 · 60",
        "",
        "medians (95 % intervals) images/s wall s best s to val_accuracy 0.50",
        "optuna, n = 2 15 (15 to 20) 300 (300 to 400) 0.300 (0.300 to 0.500) 150 (150 to never)",
        "runback, n = 2 60 (60 to 120) 100 (100 to 200) 0.500 (0.500 to 0.600) 50 (50 to 60)",
        "",
        "times ahead (95 % intervals) images/s wall s best s to val_accuracy 0.50",
        "runback against optuna, n = 2 4.00 (3.00 to 8.00) 3.00 (1.50 to 4.00) "
        "1.67 (1.00 to 2.00) 3.00 (2.50 to ∞)",
    ]


def test_seeds_that_only_one_has_are_not_compared_and_one_seed_has_no_interval():
    searches = [
        search("runback", 0, 100.0, (20.0, 0.6)),
        search("runback", 1, 900.0, (20.0, 0.6)),
        search("optuna", 0, 300.0, (60.0, 0.6)),
        search("keras-tuner", 2, 300.0, (60.0, 0.6)),
    ]
    lines = table(searches, 6000, 0.5, ["runback"])
    assert " ".join(lines[-1].split()) == "runback against optuna, n = 1 3.00 3.00 1.00 3.00"
    assert not any("against keras-tuner" in line for line in lines)
