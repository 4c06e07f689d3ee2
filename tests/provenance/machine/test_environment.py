import json
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from runback.provenance.machine.environment import packages, python, recorded_variables, system


def install(folder, name, number):
    info = folder / f"{name}-{number}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n\nVersion: 0\n")


def test_packages_are_those_installed_by_their_normalised_names():
    found = packages()
    assert {found[name] == version(name) for name in ("numpy", "keras", "ml-dtypes", "hydra-core")} == {True}
    assert list(found) == sorted(found)
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name) for name in found)


def test_of_two_packages_with_one_name_the_first_on_the_path_counts(tmp_path, monkeypatch):
    install(tmp_path / "first", "Some_Thing.x", "2.0")
    install(tmp_path / "second", "some-thing-x", "1.0")
    for name in ("second", "first"):
        monkeypatch.syspath_prepend(str(tmp_path / name))
    assert packages()["some-thing-x"] == "2.0"


def test_a_torn_installation_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "torn-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "torn" not in packages()


def test_python_and_system_are_named():
    assert python() == {"version": platform.python_version(), "implementation": "CPython"}
    assert system()["machine"] == platform.machine()
    assert platform.system() in system()["os"].replace("macOS", "Darwin")


@pytest.fixture
def set_variables(monkeypatch):
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {
        "CUDA_VISIBLE_DEVICES": "0",
        "CUDA_HOME": "/usr/local/cuda",
        "HOME": "/home/me",
        "KERAS_API_KEY": "secret",
        "LD_LIBRARY_PATH": "/opt",
        "NVIDIA_TF32_OVERRIDE": "0",
        "OMP_NUM_THREADS": "2",
        "PYTHONHASHSEED": "0",
        "PYTHONHASHSEEDS": "0",
        "TF_CONFIG": "grpc://me:pw@host:1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_TOKEN": "secret",
        "TF_VAR_database": "secret",
        "XLA_FLAGS": os.fsdecode(b"--a=\xff"),
    }.items():
        monkeypatch.setenv(name, value)


def test_only_variables_that_can_change_a_result_are_recorded(set_variables):
    assert recorded_variables() == {
        "CUDA_VISIBLE_DEVICES": "0",
        "NVIDIA_TF32_OVERRIDE": "0",
        "OMP_NUM_THREADS": "2",
        "PYTHONHASHSEED": "0",
        "TF_CONFIG": "grpc://***@host:1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "XLA_FLAGS": "--a=\\xff",
    }
    assert json.dumps(recorded_variables(), ensure_ascii=False).encode()


BUILD = """
import json, sys
from runback.keras.tensorflow_build import tensorflow_build
from runback.provenance import fingerprint
from runback.provenance.code import snapshot
from runback.provenance.comparing import difference, verdict
from runback.provenance.machine import environment, hardware
environment.packages()
assert "tensorflow" not in sys.modules
print(json.dumps(tensorflow_build()))
"""


def test_tensorflow_says_how_it_was_built_and_whether_onednn_computes():
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BUILD],
            env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": switch, "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
        )
        for switch in "01"
    ]
    without, build = (json.loads(process.communicate()[0].splitlines()[-1]) for process in processes)
    assert build["version"] == version("tensorflow")
    assert re.search("[0-9a-f]{7}", build["git_version"])
    assert isinstance(build["build"]["is_cuda_build"], bool)
    assert without["onednn"] is False
    assert build["onednn"] is True or platform.machine() != "x86_64"
