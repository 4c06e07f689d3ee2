"""Says whether the private part of TensorFlow is still what runback takes it for."""

import os
import platform
import subprocess
import sys

import pytest

CODE = "from runback.keras.tensorflow_internals import is_onednn_enabled; print(is_onednn_enabled())"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorFlow has no oneDNN here")
@pytest.mark.skipif(sys.platform != "linux", reason="TensorFlow has no oneDNN here")
@pytest.mark.parametrize(("wanted", "answer"), [("0", "False"), ("1", "True")])
def test_tensorflow_says_whether_onednn_computes(wanted: str, answer: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env=os.environ | {"TF_ENABLE_ONEDNN_OPTS": wanted, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == answer, "TensorFlow has no _pywrap_util_port.IsMklEnabled any more"
