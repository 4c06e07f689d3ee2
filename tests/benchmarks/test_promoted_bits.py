"""Trials that have paused have the bits of trainings that never stopped, and one bit more is a difference."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from promoted_bits import differing

SMALL = ("data.limit=200", "model.dense_width=8")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "promoted_bits.py"


def test_weights_differ_by_one_bit_or_by_being_there():
    paused = {"0 kernel": b"\x00\x01", "1 bias": b"\x02"}
    assert differing(paused, dict(paused)) == []
    assert differing(paused, {**paused, "0 kernel": b"\x00\x00"}) == ["0 kernel"]
    assert differing(paused, {"0 kernel": b"\x00\x01", "1 scale": b"\x02"}) == ["1 bias", "1 scale"]


@pytest.mark.timeout(900)
def test_a_trial_that_has_paused_is_compared_with_a_training_that_has_not(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--promoted=1", "hydra.sweeper.n_trials=8", *SMALL],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///nowhere.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "of seed 0, pauses: " in done.stdout
    assert "1 of 1 equal (95 % interval 21% to 100%)" in done.stdout
    assert list(tmp_path.iterdir()) == []
