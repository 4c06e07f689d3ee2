"""What a trial's run costs a tracking server: its requests, the server's CPU time, and what it takes at most.

The run is written as a trial writes it: with its params and tags, a batch of metrics an epoch, three text
files, and its end. A server is then given batches of metrics by several threads at once, as fast as it takes
them.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from many_runs import CURVES, EPOCHS, FIXED
from runback.tracking.layout import Layout
from scaling.servers import seconds_of

THREADS = 4
"""Clients that write at once."""

TEXTS = ("config.yaml", "record/record.json", "record/result.json")


@dataclass(frozen=True)
class Requests:
    """The requests of one part of a run, and the server's CPU milliseconds for them."""

    count: float
    milliseconds: float


@dataclass(frozen=True)
class Written:
    """What the parts of a run cost."""

    begin_and_end: Requests
    """A run without its epochs: its creation, params, tags, three files, end."""
    epoch: Requests
    """The metrics of one epoch."""


def run_costs(folder: Path, address: str, server: psutil.Process, runs: int) -> Written:
    """Return what a run costs, and each of its epochs; the mean of so many runs."""
    os.environ["MLFLOW_TRACKING_URI"] = address
    from runback.tracking.store import open_store
    from runback.tracking.write.run_writer import start_run

    store = open_store(Layout(folder))
    with _counted() as count:

        def part(action: Callable[[], Any]) -> tuple[Any, float, float]:
            before, used = count(), seconds_of(server)
            done = action()
            return done, count() - before, 1000 * (seconds_of(server) - used)

        begun, epochs = [], []
        for number in range(runs + 1):  # the first one makes the experiment, and does not count
            run, *first = part(
                lambda number=number: start_run(
                    store,
                    experiment="scale",
                    name=f"trial {number}",
                    folder=folder / str(number),
                    params=FIXED,
                    tags={"runback.sweep": "scale"},
                    description="A run.",
                )
            )

            def train(run: Any = run) -> None:
                for step in range(1, EPOCHS + 1):
                    run.log_epoch(step, dict.fromkeys(CURVES, 0.5))

            def end(run: Any = run) -> None:
                for name in TEXTS:
                    run.log_text("x" * 5000, name)
                run.finish("FINISHED")

            _, *of_epochs = part(train)
            _, *last = part(end)
            begun.append([a + b for a, b in zip(first, last, strict=True)])
            epochs.append([value / EPOCHS for value in of_epochs])
    return Written(_mean(begun[1:]), _mean(epochs[1:]))


def _mean(rows: list[list[float]]) -> Requests:
    return Requests(*(sum(column) / len(rows) for column in zip(*rows, strict=True)))


def most_batches(address: str, server: psutil.Process, seconds: float) -> tuple[float, float]:
    """Return how many batches of metrics a server takes in a second, and its CPU milliseconds for each."""
    experiment = _post(requests.Session(), address, "experiments/create", {"name": f"most {time.time()}"})
    stop = time.monotonic() + seconds
    counts: list[int] = []

    def write() -> None:
        session, done = requests.Session(), 0
        created = {"experiment_id": experiment["experiment_id"], "start_time": 0}
        run = _post(session, address, "runs/create", created)["run"]["info"]["run_id"]
        while time.monotonic() < stop:
            at = {"timestamp": int(1000 * time.time()), "step": done, "value": 0.5}
            metrics = [{"key": name, **at} for name in CURVES]
            _post(session, address, "runs/log-batch", {"run_id": run, "metrics": metrics})
            done += 1
        counts.append(done)

    used, began = seconds_of(server), time.monotonic()
    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    total = sum(counts)
    return total / (time.monotonic() - began), 1000 * (seconds_of(server) - used) / total


def _post(session: requests.Session, address: str, what: str, content: Any) -> Any:
    answer = session.post(f"{address}/api/2.0/mlflow/{what}", json=content, timeout=60)
    answer.raise_for_status()
    return answer.json()


class _counted:  # noqa: N801 - used as a function
    """Counts the requests that this process sends, whoever sends them."""

    def __enter__(self) -> Callable[[], int]:
        self._send, self._count = requests.Session.send, 0

        def send(session: requests.Session, *args: Any, **knobs: Any) -> requests.Response:
            self._count += 1
            return self._send(session, *args, **knobs)

        requests.Session.send = send  # type: ignore[method-assign]
        return lambda: self._count

    def __exit__(self, *_: object) -> None:
        requests.Session.send = self._send  # type: ignore[method-assign]
