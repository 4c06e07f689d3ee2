import json
import subprocess
import sys

import psutil
import pynvml
import pytest

from runback.provenance.machine import hardware
from runback.provenance.machine.hardware import cpu, gpus

ARM = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes asimd
CPU implementer\t: 0x41
CPU part\t: 0xd0c

processor\t: 1
Features\t: other
"""


def test_the_processor_has_a_model_and_sorted_flags():
    found = cpu()
    assert found["model"]
    assert found["flags"] == sorted(set(found["flags"]))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_flags_are_the_kernels():
    grep = subprocess.run(["grep", "-m1", "-E", "^(flags|Features)", "/proc/cpuinfo"], capture_output=True)
    assert cpu()["flags"] == sorted(set(grep.stdout.decode().partition(":")[2].split()))


def test_arms_cores_are_told_by_number(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(ARM)
    monkeypatch.setattr(hardware, "CPUINFO", path)
    assert cpu() == {
        "model": "CPU implementer 0x41 CPU part 0xd0c",
        "flags": ["aes", "asimd", "evtstrm", "fp"],
    }


def test_a_machine_that_says_nothing_of_itself_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "CPUINFO", tmp_path / "missing")
    assert isinstance(cpu()["model"], str)
    assert json.dumps(hardware.hardware())


def has_driver():
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


@pytest.mark.skipif(has_driver(), reason="this machine has GPUs")
def test_without_a_driver_there_are_no_gpus():
    assert gpus() == []


@pytest.mark.skipif(not has_driver(), reason="needs an NVIDIA driver")
def test_gpus_are_those_that_the_driver_lists(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    listed = subprocess.run(
        ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"],
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    assert [f"{gpu['name']}, {gpu['driver']}" for gpu in gpus()] == listed
    assert all(gpu["memory_bytes"] > 2**30 for gpu in gpus())


def test_looking_keeps_nothing_open():
    hardware.hardware()
    before = psutil.Process().num_fds()
    hardware.hardware()
    assert psutil.Process().num_fds() == before
