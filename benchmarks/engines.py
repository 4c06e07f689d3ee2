"""What a sweep costs on each engine, on the same cores: trials a minute, and the start-up of a trial.

    python benchmarks/engines.py [--trials N] [--repeats N] [--workers N]

Compare the ratios; seconds are this machine's. Nothing else should run meanwhile. With the defaults it takes
about 3 minutes.

Trials that do nothing, on one SQLite study, with TPE: on processes of this machine (local), on workers as
processes of this machine (workers), on a SLURM whose commands are found, with its configuration in SLURM_CONF
(slurm), and on a Ray cluster of its own (ray). TensorFlow is imported once by each worker.

The whole sweep is from the engine's start until all of it has ended. Trials a minute are counted from the end
of the first trial to the end of the last one. The start-up of a trial is from the moment when the coordinator
gives it to the engine to its first message; the first trials, which wait for imports, do not count.
"""

import argparse
import contextlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import coordinated
from runback.sweeping.trials.engines import fork_server
from runback.sweeping.trials.engines.engine import Engine, Event
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.remote.local_workers import LocalWorkers
from runback.sweeping.trials.remote.on_ray.ray_settings import RaySettings
from runback.sweeping.trials.remote.on_ray.ray_workers import RayWorkers
from runback.sweeping.trials.remote.remote_engine import RemoteEngine
from runback.sweeping.trials.remote.slurm_jobs import SlurmSettings
from runback.sweeping.trials.remote.slurm_workers import SlurmWorkers
from runback.sweeping.trials.remote.workers import Workers
from runback.sweeping.trials.trial import Trial
from runback.system.cores import available_cores
from spread import ratios, shown


@dataclass(frozen=True)
class Measured:
    """One sweep."""

    whole: float
    """Seconds."""
    per_minute: float
    starts: list[float]
    """Seconds, of each trial that has not waited for imports."""


class Timed:
    """An engine that notes when each trial was given to it, and when the first message of each came."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.given: dict[int, float] = {}
        self.heard: dict[int, float] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def start(self, trial: Trial) -> None:
        """Note when, and start it."""
        self.given[trial.number] = time.perf_counter()
        self._engine.start(trial)

    def events(self, timeout: float) -> list[Event]:
        """Note when something was heard of a trial for the first time."""
        events = self._engine.events(timeout)
        for event in events:
            self.heard.setdefault(event.number, time.perf_counter())
        return events


def main() -> None:
    """Measure in a temporary folder and print."""
    options = _options()
    measured: dict[str, list[Measured]] = {name: [] for name in _engines(options.workers)}
    with tempfile.TemporaryDirectory(prefix="runback-benchmark-") as name:
        for n in range(options.repeats):  # in turn: the machine's mood changes
            for engine, engine_in in _engines(options.workers).items():
                folder = Path(name).resolve() / f"{engine} {n}"
                measured[engine].append(measure(folder, engine_in, options.trials, options.workers))
    print(f"{available_cores()} cores, {options.workers} workers, {options.trials} trials that do nothing")
    for name, sweeps in measured.items():
        _print(name, sweeps, measured["local"])
    if "slurm" not in measured:
        print("\nslurm: left out; there is no sbatch, or no SLURM_CONF")


def measure(folder: Path, engine_in: Callable[[Path], Engine], trials: int, workers: int) -> Measured:
    """Run one sweep."""
    engines: list[Timed] = []

    def timed(into: Path) -> Timed:
        engines.append(Timed(engine_in(into)))
        return engines[0]

    def value(number: int, params: dict[str, Any]) -> float:
        return float(params["learning_rate"]) * int(params["width"])

    fork_server.kill()  # each sweep imports anew
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        ends = coordinated.sweep(folder, value, n_trials=trials, n_workers=workers, engine_in=timed)
    whole = time.perf_counter() - began
    [engine] = engines
    starts = [engine.heard[number] - engine.given[number] for number in range(workers, trials)]
    return Measured(whole, 60 * (len(ends) - 1) / (ends[-1] - ends[0]), starts)


def _engines(n: int) -> dict[str, Callable[[Path], Engine]]:
    def on(workers: Workers, folder: Path) -> Engine:
        return RemoteEngine(workers, folder, n, coordinated.PRELOADED)

    engines: dict[str, Callable[[Path], Engine]] = {
        "local": lambda _: LocalEngine(preload=coordinated.PRELOADED),
        "workers": lambda folder: on(LocalWorkers(), folder),
    }
    if shutil.which("sbatch") and "SLURM_CONF" in os.environ:
        engines["slurm"] = lambda folder: on(SlurmWorkers(SlurmSettings()), folder)
    share = min(1.0, available_cores() / n)
    engines["ray"] = lambda folder: on(RayWorkers(RaySettings(cpus_per_trial=share)), folder)
    return engines


def _print(name: str, sweeps: list[Measured], local: list[Measured]) -> None:
    print(f"\n{name}")
    print(f"  the whole sweep        {shown([one.whole for one in sweeps], '.1f', ' s')}")
    print(f"  trials a minute        {shown([one.per_minute for one in sweeps], '.0f')}")
    starts = [1000 * seconds for one in sweeps for seconds in one.starts]
    print(f"  start-up of a trial    {shown(starts, '.0f', ' ms')}")
    if sweeps is not local:
        per_minute = ratios([one.per_minute for one in sweeps], [one.per_minute for one in local])
        print(f"  trials a minute / local {shown(per_minute, '.2f')}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a sweep costs on each engine.")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=available_cores())
    return parser.parse_args()


if __name__ == "__main__":
    main()
