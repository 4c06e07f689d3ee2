"""A callback for anybody's `fit`: what it records goes on, and comes out again, bit for bit."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(900)  # many processes, one after the other

FITS = Path(__file__).with_name("fits.py")

FEW = (
    *("several_inputs_and_outputs", "schedule_and_steps_per_execution", "mixed_precision", "other_callbacks"),
    *("generators", "own_step", "gan_with_two_optimizers", "ended_early"),
)
"""Cases that are tried each time, on TensorFlow."""

ANYWHERE = (
    *("several_inputs_and_outputs", "split_weights_and_rare_validation", "subclassed_and_unbuilt"),
    *("schedule_and_steps_per_execution", "mixed_precision", "other_callbacks", "averaged_weights"),
    *("metric_of_several_numbers", "py_dataset", "generators", "ended_early"),
)
ON_TENSORFLOW = (
    *ANYWHERE,
    *("eager", "tf_data", "repeated_tf_data", "own_step", "gan_with_two_optimizers"),
)
RARE = tuple(name for name in ON_TENSORFLOW if name not in FEW)


@pytest.fixture(scope="module")
def fits(tmp_path_factory, request):
    """Return the results of the cases on a backend that are asked for, in one process."""
    mine = [item.callspec.params for item in request.session.items if item.path == Path(__file__)]
    found = {}

    def of(backend):
        if backend != "tensorflow" and importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if backend not in found:
            folder = tmp_path_factory.mktemp(backend)
            names = [one["name"] for one in mine if one["backend"] == backend]
            environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
            done = subprocess.run(
                [sys.executable, FITS, folder, *names],
                capture_output=True, text=True, check=False, cwd=folder, env=environment, timeout=1200,
            )  # fmt: skip
            lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
            assert len(lines) == len(names), done.stderr[-3000:]
            found[backend] = ({line["case"]: line for line in lines}, folder)
        return found[backend]

    return of


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        *[("tensorflow", name) for name in FEW],
        *[pytest.param("tensorflow", name, marks=pytest.mark.slow) for name in RARE],
        *[("jax", name) for name in ANYWHERE],
        *[pytest.param("torch", name, marks=pytest.mark.slow) for name in ANYWHERE],
    ],
)
def test_a_fit_that_was_stopped_in_an_epoch_goes_on_bit_for_bit(fits, backend, name):
    line = fits(backend)[0][name]
    assert "error" not in line, line["error"]
    assert line["stopped"] == (3 if name == "ended_early" else 2)
    assert line["resumed"]["curves"] == line["whole"]["curves"]
    assert line["resumed"]["weights"] == line["whole"]["weights"]
    assert len(line["whole"]["weights"]) >= 2
