import os

import pytest

from runback.errors import InputError
from runback.provenance.machine import hardware
from runback.sweeping.optimize import divide
from runback.sweeping.sweep_settings import SweeperSettings
from runback.sweeping.trials.devices import VARIABLE, devices, least_used


@pytest.fixture
def nvml(monkeypatch):
    """A driver with as many GPUs as it is told."""
    monkeypatch.delenv(VARIABLE, raising=False)

    def with_gpus(count):
        for name in ("nvmlInit", "nvmlShutdown"):
            monkeypatch.setattr(hardware.pynvml, name, lambda: None)
        monkeypatch.setattr(hardware.pynvml, "nvmlSystemGetDriverVersion", lambda: "999.1")
        monkeypatch.setattr(hardware.pynvml, "nvmlDeviceGetCount", lambda: count)
        monkeypatch.setattr(hardware.pynvml, "nvmlDeviceGetHandleByIndex", lambda number: number)
        monkeypatch.setattr(hardware.pynvml, "nvmlDeviceGetName", lambda handle: f"GPU {handle}")
        monkeypatch.setattr(
            hardware.pynvml, "nvmlDeviceGetMemoryInfo", lambda handle: type("Memory", (), {"total": 8})
        )

    return with_gpus


def test_all_gpus_are_used_and_without_a_driver_none(nvml):
    assert devices("auto") == [str(number) for number in range(len(hardware.gpus()))]
    nvml(3)
    assert devices("auto") == ["0", "1", "2"]
    assert devices([2, 0]) == ["2", "0"]


@pytest.mark.parametrize(
    ("outer", "seen"),
    [("2,0", ["2", "0"]), ("", []), ("-1", []), ("1,-1,2", ["1"]), ("1,7", ["1"]), ("GPU-5a", ["GPU-5a"])],
)
def test_what_the_environment_hides_is_not_used(nvml, monkeypatch, outer, seen):
    nvml(3)
    monkeypatch.setitem(os.environ, VARIABLE, outer)
    assert devices("auto") == seen


@pytest.mark.parametrize("asked", [[3], ["all"], [0, 0], [], "1,2"])
def test_other_gpus_are_refused(nvml, asked):
    nvml(3)
    with pytest.raises(InputError, match=r"hydra\.sweeper\.gpus"):
        devices(asked)


def test_a_mirrored_trial_has_all_gpus_and_runs_alone(nvml):
    nvml(3)
    slots = divide(SweeperSettings(distribution="mirrored"))
    assert (slots.n_workers, slots.devices) == (1, ["0,1,2"])
    assert divide(SweeperSettings(distribution="mirrored", gpus=[2, 0])).devices == ["2,0"]
    with pytest.raises(InputError, match=r"trials_per_gpu must be 1 where a trial has all GPUs"):
        SweeperSettings(distribution="mirrored", trials_per_gpu=2).check()


def test_a_trial_goes_where_the_fewest_are_and_none_is_alone():
    gpus = ["0", "1", "2"]
    assert least_used(gpus, used=[], closed=[]) == "0"
    assert least_used(gpus, used=["0", "1", "0"], closed=[]) == "2"
    assert least_used(gpus, used=["0", "1", "1"], closed=["0"]) == "2"
    assert least_used(gpus, used=["0", "1", "2"], closed=["0", "1", "2"]) is None
