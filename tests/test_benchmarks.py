"""The benchmarks run and print what they measure; how much that is no test can say on a shared machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

OVERHEAD = Path(__file__).parents[1] / "benchmarks" / "overhead.py"
RECORD = Path(__file__).parents[1] / "benchmarks" / "record.py"
COMPARE = Path(__file__).parents[1] / "benchmarks" / "compare.py"
AUGMENTATION = Path(__file__).parents[1] / "benchmarks" / "augmentation.py"
MEMORY = Path(__file__).parents[1] / "benchmarks" / "memory.py"
COORDINATOR = Path(__file__).parents[1] / "benchmarks" / "coordinator.py"
TINY = ("--images=60", "--epochs=2", "--repeats=1")

pytestmark = pytest.mark.slow  # minutes; what they run is tested piece by piece elsewhere


def run(script: Path, *arguments: str, elsewhere: Path) -> str:
    """Run a benchmark from a folder that is no project, with a store of the user's own named."""
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
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


@pytest.fixture(scope="module")
def printed(tmp_path_factory) -> str:
    """Run each benchmark once."""
    runs = [
        (OVERHEAD, *TINY, "--data=synthetic"),
        (RECORD, *TINY),
        (COORDINATOR, "--trials=2", "--sleeping=8", "--repeats=1"),
        (COMPARE, "--runs", "20", "1000", "--repeats=2"),
        (AUGMENTATION, "--images=60", "--repeats=2"),
        (MEMORY, "--images=60", "--repeats=2", "--gigabytes=0.1"),
    ]
    return "".join(run(*command, elsewhere=tmp_path_factory.mktemp("elsewhere")) for command in runs)


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
        r"RandomAffine / layers +NUMBER ± NUMBER",
        r"RandomAffine / generator +NUMBER ± NUMBER",
        r"most while it trained +\+NUMBER MB",
        r"file / memory +NUMBER ± NUMBER",
        r"throughput: deep_cnn on synthetic",
        r"bare model.fit +NUMBER images/s SPREAD",
        r"runback train +NUMBER images/s SPREAD",
        r"tracked / bare +NUMBER SPREAD",
        r"the record of a run on digits",
        r"together +NUMBER s SPREAD",
        r"the record of a run on cifar10",
        r"determinism: deep_cnn on synthetic",
        r"deterministic / free +NUMBER SPREAD",
        r"copied and written +NUMBER ms SPREAD",
        r"1,000 runs",
        r"mlflow.search_runs +NUMBER s SPREAD",
        r"mlflow / runback +NUMBER SPREAD",
        r"mlflow / trials +NUMBER SPREAD",
        r"runback compare +NUMBER s SPREAD, without tensorflow \(wanted: below 2 s\)",
        r"0 finished +NUMBER ms SPREAD",
        r"2,000 finished +NUMBER ms SPREAD",
        r"four slots, 8 trials that sleep NUMBER to NUMBER s",
        r"busy by the coordinator +NUMBER % SPREAD",
        r"busy in an app under Hydra +NUMBER % SPREAD",
        r"optuna / runback +NUMBER SPREAD",
        r"hydra-optuna-sweeper: left out",
    ],
)
def test_the_benchmark_prints_each_measurement_with_n(printed, line):
    number = r"[\d,.]+"
    pattern = line.replace("SPREAD", rf"\({number} to {number}, n = [12]\)").replace("NUMBER", number)
    assert re.search(pattern, printed), printed


@pytest.mark.parametrize("script", [OVERHEAD, RECORD])
def test_a_benchmark_without_a_second_epoch_is_refused(script):
    done = subprocess.run(
        [sys.executable, str(script), "--epochs=1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "expected --images from 20, --epochs from 2" in done.stderr


def test_too_few_trials_to_measure_are_refused():
    command = [sys.executable, str(COORDINATOR), "--trials=1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected --trials from 2, --sleeping from 8 and --repeats from 1" in done.stderr
