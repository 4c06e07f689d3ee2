"""Brackets are those of KerasTuner, and a config goes on where it was."""

from itertools import count

import pytest

from replay.keras_tuner_hyperband import Oracle


def runs(max_epochs, n, **limits):
    """Return the epochs of the first runs, one after the other; the later a config, the better it is."""
    numbers = count()
    oracle, found = Oracle(lambda: {"number": next(numbers)}, max_epochs, **limits), []
    for _ in range(n):
        run = oracle.next_run()
        if run is None:
            break
        run.score = run.config / 1000
        found.append((run.config, run.begin, run.end))
    return found


def test_nine_epochs_have_brackets_of_nine_five_and_three_configs():
    found = runs(9, 9 + 3 + 1 + 5 + 2 + 3)
    assert found[:9] == [(config, 0, 1) for config in range(9)]
    assert found[9:12] == [(8, 1, 3), (7, 1, 3), (6, 1, 3)]
    assert found[12] == (8, 3, 9)
    assert found[13:18] == [(config, 0, 3) for config in range(9, 14)]
    assert found[18:20] == [(13, 3, 9), (12, 3, 9)]
    assert found[20:] == [(config, 0, 9) for config in range(14, 17)]


def test_the_first_bracket_comes_again_after_the_last():
    assert runs(9, 24)[-1] == (17, 0, 1)


def test_a_config_goes_on_as_soon_as_more_are_ready_than_are_dropped():
    oracle = Oracle(dict, 9)
    started = [oracle.next_run() for _ in range(9)]
    for place, run in enumerate(started[:7]):
        run.score = float(place)
    promoted = oracle.next_run()
    assert (promoted.config, promoted.begin, promoted.end) == (6, 1, 3)
    assert oracle.next_run().begin == 0  # of the other two nobody knows yet: the next bracket begins


@pytest.mark.parametrize(
    ("max_epochs", "brackets"), [(1, 1), (2, 1), (3, 2), (8, 2), (9, 3), (27, 4), (50, 4)]
)
def test_the_shortest_run_is_one_of_the_brackets_of_the_budget(max_epochs, brackets):
    first = runs(max_epochs, 1)[0]
    assert first[2] == -(-max_epochs // 3 ** (brackets - 1))


def test_without_more_configs_those_that_may_go_on_do():
    found = runs(9, 50, most_configs=9)
    assert len(found) == 9 + 3 + 1
