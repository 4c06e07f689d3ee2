"""Trainings in processes of their own, stopped and killed for real; see trainings.py."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runback.runs.checkpoint import load_newest

SHORT = {"n": 200, "epochs": 4}
"""13 steps of training and 2 of validation an epoch, each over in 5 ms."""

LONG = {"n": 1000, "epochs": 8}
"""Long enough to be killed at any moment."""


class Trainings:
    """The server of trainings.py; `run` waits for one training and returns its exit code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uninterrupted = cache(self._uninterrupted)
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("trainings.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            text=True,
        )
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._requests, self._answers = self._server.stdin, self._server.stdout

    def run(self, name: str, *, kill: tuple[int, float] | None = None, **options: Any) -> int:
        """Train in a folder; with `kill`, SIGKILL it so many seconds after so many epochs."""
        print(json.dumps({**options, "folder": str(self.folder / name)}), file=self._requests, flush=True)
        pid = json.loads(self._answers.readline())["pid"]
        if kill is not None:
            self._wait_for_epoch(name, kill[0])
            time.sleep(kill[1])
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        code: int = json.loads(self._answers.readline())["code"]
        return code

    def _wait_for_epoch(self, name: str, epoch: int) -> None:
        deadline = time.monotonic() + 600
        while epoch and f"epoch {epoch}\n" not in self.log(name):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def bits(self, name: str) -> list[Any]:
        """Return the digest of all variables, and the history, of the training that finished in a folder."""
        bits: list[Any] = json.loads((self.folder / name / "result.json").read_text())["bits"]
        return bits

    def _uninterrupted(self, **options: Any) -> list[Any]:
        name = f"uninterrupted {len(list(self.folder.iterdir()))}"
        assert self.run(name, **options) == 0, self.log(name)
        return self.bits(name)

    def log(self, name: str) -> str:
        log = self.folder / name / "log.txt"
        return log.read_text() if log.exists() else ""

    def close(self) -> None:
        self._requests.close()
        self._server.wait(60)
        self._answers.close()


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    server = Trainings(tmp_path_factory.mktemp("trainings"))
    yield server
    server.close()


def at(name: str, call: int, phase: str) -> dict[str, Any]:
    return {"signal": {"name": name, "call": call, "phase": phase}}


@pytest.mark.parametrize("strong", [False, True], ids=["usual", "alternating flip, one cycle, averages"])
def test_stopped_within_an_epoch_and_then_in_a_validation_it_ends_with_the_same_bits(
    trainings: Trainings, strong: bool
) -> None:
    options = {**SHORT, "precision": "mixed_bfloat16", "strong": strong}
    name = f"stopped {strong}"
    folder = trainings.folder / name
    assert trainings.run(name, **options, **at("SIGTERM", 18, "train")) == 143
    checkpoint = load_newest(folder)
    assert checkpoint is not None
    assert (checkpoint.epoch, checkpoint.step) == (1, 6)  # the running step was finished
    assert trainings.run(name, **options, **at("SIGINT", 2, "test")) == 130
    checkpoint = load_newest(folder)
    assert checkpoint is not None
    assert (checkpoint.epoch, checkpoint.step) == (2, 13)
    assert trainings.run(name, **options) == 0
    assert trainings.log(name).splitlines() == [
        "epoch 1",
        "stopped by SIGTERM",
        "epoch 2",
        "Ctrl-C",
        "epoch 3",
        "epoch 4",
    ]
    assert trainings.bits(name) == trainings.uninterrupted(**options)
    times = json.loads((folder / "result.json").read_text())["times"]
    assert all(0 < 200 / speed < seconds < 60 for seconds, speed in times)


@pytest.mark.parametrize(("name", "call"), [("SIGTERM", 11), ("SIGINT", 14)])
def test_stopped_in_an_epoch_that_is_shorter_than_a_pass_it_ends_with_the_same_bits(
    trainings: Trainings, name: str, call: int
) -> None:
    options = {**SHORT, "precision": "float32", "strong": True, "steps_per_epoch": 4, "epochs": 9}
    assert trainings.run(f"short {call}", **options, **at(name, call, "train")) in (143, 130)
    assert trainings.run(f"short {call}", **options) == 0
    assert trainings.bits(f"short {call}") == trainings.uninterrupted(**options)


def test_early_stopping_and_loss_scaling_go_on_as_if_nothing_had_been(trainings: Trainings) -> None:
    options = {"n": 200, "epochs": 20, "patience": 3, "ruinous": True, "precision": "mixed_float16"}
    expected = trainings.uninterrupted(**options)
    assert 4 < expected[1] < 20  # it did stop early
    call = 13 * (expected[1] - 2) + 4  # the best epoch lies behind it
    assert trainings.run("early", **options, **at("SIGTERM", call, "train")) == 143
    assert trainings.run("early", **options) == 0
    assert trainings.bits("early") == expected
    before = trainings.log("early")
    assert trainings.run("early", **options) == 0  # finished as it is
    assert trainings.log("early") == before
    assert trainings.bits("early") == expected


def test_killed_while_it_writes_a_checkpoint_it_goes_on_from_the_one_before(trainings: Trainings) -> None:
    options = {**SHORT, "precision": "mixed_bfloat16"}
    folder = trainings.folder / "torn"
    assert trainings.run("torn", **options, die_at_flush=2) == -signal.SIGKILL  # two flushes a checkpoint
    (partial,) = folder.glob(".*")
    assert re.fullmatch(r"\.[0-9a-f]{8}\.checkpoint-00002-0000000\.npz\.partial", partial.name)
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-00001-0000000.npz"]
    assert trainings.run("torn", **options) == 0
    assert list(folder.glob(".*")) == []
    assert trainings.bits("torn") == trainings.uninterrupted(**options)


def kill(trainings: Trainings, name: str, rng: np.random.Generator, **options: Any) -> None:
    """Kill a training at a random moment: as it starts, in an epoch, or when it writes a checkpoint."""
    if rng.random() < 0.3:
        code = trainings.run(name, **LONG, **options, die_at_flush=int(rng.integers(6)))
    else:
        epoch = int(rng.integers(8))
        code = trainings.run(name, **LONG, **options, kill=(epoch, rng.uniform(0, 0.2 if epoch else 2)))
    assert code in (-signal.SIGKILL, 0)  # it may just have ended


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_a_random_moment_it_ends_with_the_same_bits(trainings: Trainings, seed: int) -> None:
    name = f"killed {seed}"
    kill(trainings, name, np.random.default_rng(seed))
    assert trainings.run(name, **LONG) == 0
    assert trainings.bits(name) == trainings.uninterrupted(**LONG)


@pytest.mark.parametrize("seed", [4, 5])
def test_a_strong_start_killed_at_a_random_moment_ends_with_the_same_bits(
    trainings: Trainings, seed: int
) -> None:
    name, options = f"strong {seed}", {"strong": True}
    kill(trainings, name, np.random.default_rng(seed), **options)
    assert trainings.run(name, **LONG, **options) == 0
    assert trainings.bits(name) == trainings.uninterrupted(**LONG, **options)


def test_early_stopping_by_averages_goes_on_as_if_nothing_had_been(trainings: Trainings) -> None:
    options = {"n": 200, "epochs": 12, "patience": 1, "strong": True, "precision": "mixed_float16"}
    expected = trainings.uninterrupted(**options)
    assert 2 <= expected[1] < 12  # it did stop early
    call = 13 * (expected[1] - 1) + 4
    assert trainings.run("averages", **options, **at("SIGTERM", call, "train")) == 143
    assert trainings.run("averages", **options) == 0
    assert trainings.bits("averages") == expected


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_trainings_killed_again_and_again_all_end_with_the_same_bits(trainings: Trainings) -> None:
    rng = np.random.default_rng(3)
    names = [f"killed again {n}" for n in range(20)]
    resumed = 0
    for number, name in enumerate(names):
        for _ in range(1 + number % 3):
            kill(trainings, name, rng)
        resumed += load_newest(trainings.folder / name) is not None
        assert trainings.run(name, **LONG) == 0
    assert [trainings.bits(name) for name in names] == [trainings.uninterrupted(**LONG)] * 20
    assert resumed > 10
