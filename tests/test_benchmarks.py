"""The benchmark runs and prints what it measures; how much that is no test can say on a shared machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

OVERHEAD = Path(__file__).parents[1] / "benchmarks" / "overhead.py"
TINY = ("--images=60", "--epochs=2", "--repeats=1", "--data=synthetic")

pytestmark = pytest.mark.slow  # a minute and a half; what it runs is tested piece by piece elsewhere


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> str:
    """Run the benchmark once, from a folder that is no project, with a store of the user's own named."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(
        [sys.executable, str(OVERHEAD), *TINY],
        cwd=elsewhere,
        env={**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///nowhere.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert list(elsewhere.iterdir()) == []
    return done.stdout


@pytest.mark.parametrize(
    "line",
    [
        r"forkserver +NUMBER s SPREAD",
        r"spawn +NUMBER s SPREAD",
        r"tracing, not counted NUMBER s SPREAD",
        r"spawn / forkserver +NUMBER",
        r"runback --help +NUMBER s SPREAD, without tensorflow",
        r"runback best forkserver +NUMBER s SPREAD, without tensorflow",
        r"throughput: shallow_cnn on digits",
        r"throughput: deep_cnn on synthetic",
        r"bare model.fit +NUMBER images/s SPREAD",
        r"runback train +NUMBER images/s SPREAD",
        r"tracked / bare +NUMBER SPREAD",
    ],
)
def test_the_benchmark_prints_each_measurement_with_n(printed, line):
    number = r"[\d,.]+"
    pattern = line.replace("SPREAD", rf"\({number} to {number}, n = 1\)").replace("NUMBER", number)
    assert re.search(pattern, printed), printed


def test_a_benchmark_without_a_second_epoch_is_refused():
    done = subprocess.run(
        [sys.executable, str(OVERHEAD), "--epochs=1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "expected --images from 20, --epochs from 2" in done.stderr
