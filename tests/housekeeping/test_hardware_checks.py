import pytest

from runback.housekeeping import hardware_checks
from runback.housekeeping.hardware_checks import (
    disk_check,
    gpu_check,
    machine_checks,
    memory_check,
)
from runback.provenance.machine import hardware
from runback.sweeping import optimize
from runback.tracking.layout import Layout


@pytest.fixture(autouse=True)
def _visible(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs, as NVML tells them."""
    found = [{"name": "NVIDIA H200", "driver": "999.1", "memory_bytes": 8}] * 2
    monkeypatch.setattr(hardware, "gpus", lambda: found)


def test_every_part_of_the_machine_is_told(tmp_path):
    checks = machine_checks(Layout(tmp_path))
    assert [check.name for check in checks] == ["disk", "memory", "cpu", "gpu"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limits", "state"), [((0, 0), "ok"), ((0, 10**18), "warning"), ((10**18, 10**18), "problem")]
)
def test_little_space_is_a_warning_and_hardly_any_a_problem(tmp_path, monkeypatch, limits, state):
    monkeypatch.setattr(hardware_checks, "LEAST_SPACE", limits[0])
    monkeypatch.setattr(hardware_checks, "LITTLE_SPACE", limits[1])
    check = disk_check(Layout(tmp_path))
    assert check.state == state
    assert f"GB free for {tmp_path / 'mlruns'}" in check.found


def test_a_file_in_the_place_of_mlruns_is_a_problem(tmp_path):
    (tmp_path / "mlruns").touch()
    check = disk_check(Layout(tmp_path))
    assert (check.state, "must be a folder" in check.found) == ("problem", True)


def test_little_memory_is_a_warning(monkeypatch):
    assert hardware_checks.MEMORY_PER_TRIAL == optimize.MEMORY_PER_TRIAL
    monkeypatch.setattr(hardware_checks, "MEMORY_PER_TRIAL", 10**15)
    assert memory_check().state == "warning"


def test_without_a_gpu_the_cpu_trains(monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "gpus", list)
    monkeypatch.setattr(hardware_checks, "NVIDIA_DRIVER", tmp_path / "none")
    assert (gpu_check().state, gpu_check().found) == ("ok", "none found; training runs on the CPU")
    (tmp_path / "none").touch()
    assert gpu_check().state == "warning"


@pytest.mark.usefixtures("gpus")
def test_gpus_are_named_with_their_driver_and_what_the_environment_hides(monkeypatch):
    monkeypatch.setattr(hardware_checks, "missing_cuda", list)
    assert gpu_check().found == "2 x NVIDIA H200 (driver 999.1)"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert gpu_check().found.endswith("1 of them visible (CUDA_VISIBLE_DEVICES)")
    assert gpu_check().state == "ok"


@pytest.mark.usefixtures("gpus")
def test_gpus_without_cudas_libraries_are_a_warning(monkeypatch):
    monkeypatch.setattr(hardware_checks, "missing_cuda", lambda: ["nvidia-cudnn-cu12"])
    check = gpu_check()
    assert check.state == "warning"
    assert "CUDA libraries are not installed (1 packages, such as nvidia-cudnn-cu12)" in check.found
    assert "EXTRAS='dev gpu'" in check.advice
