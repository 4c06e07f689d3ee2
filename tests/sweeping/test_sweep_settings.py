import pytest

from runback.errors import InputError
from runback.sweeping.optimize import divide
from runback.sweeping.sweep_settings import SweeperSettings


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"n_trials": 0}, "n_trials must be positive"),
        ({"timeout": -1}, "timeout must be positive"),
        ({"trial_timeout": float("nan")}, "trial_timeout must be positive"),
        ({"n_workers": 0}, "n_workers must be auto or a number"),
        ({"threads": "many"}, "threads must be auto or a number"),
        ({"direction": "up"}, "direction must be maximize or minimize"),
        ({"start_method": "fork"}, "start_method must be forkserver or spawn"),
        ({"name": "../x"}, "name must be usable"),
        ({"name": ".."}, "name must be usable"),
        ({"direction": ["maximize", "minimize"], "pruner": {"_target_": "x"}}, "pruning needs one objective"),
    ],
)
def test_a_value_out_of_range_is_refused(knobs, message):
    with pytest.raises(InputError, match=message):
        SweeperSettings(**knobs).check()


def test_cores_are_divided_among_the_workers(monkeypatch):
    monkeypatch.setattr("runback.sweeping.optimize.available_cores", lambda: 8)
    slots = divide(SweeperSettings(n_workers=2))
    assert (slots.n_workers, slots.threads) == (2, 4)
    slots = divide(SweeperSettings(n_workers=16))
    assert (slots.n_workers, slots.threads) == (16, 1)


def test_workers_are_as_many_as_cores_and_memory_and_trials_allow(monkeypatch):
    monkeypatch.setattr("runback.sweeping.optimize.available_cores", lambda: 8)
    monkeypatch.setattr("runback.sweeping.optimize.psutil.virtual_memory", lambda: _Memory(64e9))
    assert divide(SweeperSettings()).n_workers == 8
    assert divide(SweeperSettings(threads=2)).n_workers == 4
    assert divide(SweeperSettings(n_trials=3)).n_workers == 3
    monkeypatch.setattr("runback.sweeping.optimize.psutil.virtual_memory", lambda: _Memory(4e9))
    assert divide(SweeperSettings()).n_workers == 2


class _Memory:
    def __init__(self, available: float) -> None:
        self.available = available


def test_knobs_of_a_pruner_that_was_switched_off_do_not_matter():
    assert SweeperSettings(pruner={"min_resource": 2}).pruner is None
