"""What limits a sweep of 10, 100 and 1,000 workers: the tables of docs/scale.md.

    python benchmarks/scale.py [--repeats N] [--quick]

Prints, in Markdown: what a trial and a report cost the coordinator and its study, in SQLite and in
PostgreSQL, while so many trials run; what proposing a trial costs; what a run costs a tracking server, and
how much one takes; and how a search by 1 to 1,000 workers fares, replayed on recorded curves on a virtual
clock with those costs. Figures are CPU times, user and system: others may use the machine meanwhile. The
servers are started in a temporary folder, on the loopback interface. With the defaults it takes about 30
minutes on two cores that others use too.
"""

import argparse
import logging
import os
import platform
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from replay.contenders import Task
from replay.curve_model import CurveModel
from replay.curve_table import read_table
from replay.many_workers import Coordination, Use, uses
from replay.virtual_engine import Costs
from runback.provenance.machine.hardware import cpu
from runback.system.cores import available_cores
from scaling.proposals import milliseconds
from scaling.servers import BIN, mlflow_server, postgresql
from scaling.study_writes import Cost, costs
from scaling.tracking_writes import most_batches, run_costs
from spread import interval

RUNNING = (10, 100, 1000)
"""The trials that run at once."""

FINISHED = (10, 100, 1000, 5000)

WORKERS = (1, 10, 100, 1000)

CURVES = Path(__file__).with_name("curves") / "deep_cnn.parquet"

TRIALS = 30
"""The trials of each length that are measured."""

SECONDS = 3600.0
"""The virtual time that a search has."""


def main() -> None:
    """Measure in a temporary folder and print."""
    options = _options()
    logging.disable(logging.WARNING)
    running = RUNNING[:1] if options.quick else RUNNING
    with tempfile.TemporaryDirectory(prefix="runback-benchmark-") as name, ExitStack() as ends:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # the user `postgres` goes through it
        print(f"Measured on {cpu()['model']}, {available_cores()} cores, Python {platform.python_version()}.")
        (address, runs), server = ends.enter_context(postgresql(folder / "postgresql"))
        stores = {"SQLite": (None, None), f"PostgreSQL {BIN.parts[4]}": (address, server)}
        _print("study", "| study | trials that run | of a trial | of a report | database | statements | n |")
        found = _study_costs(folder, stores, running, options.repeats)
        for store in stores:
            for count in running:
                print(_study_row(store, count, found[store, count]), flush=True)
        _print("proposals", "| finished trials | of a proposal by TPE |")
        for finished in FINISHED[:1] if options.quick else FINISHED:
            measured = [milliseconds(finished, seed) for seed in range(options.repeats)]
            print(f"| {finished:,} | {interval(measured, '.1f')} ms |", flush=True)
        _print("tracking", "| database | of a run | of an epoch | batches of metrics a second | of a batch |")
        for database, where in zip(stores, (None, runs), strict=True):
            print(_tracking_row(folder, database, where, options.repeats), flush=True)
        _print("workers", "| workers | searches | reach it | seconds to it | slots train | trials |")
        for use in _replayed(found, options.quick):
            print(_use_row(use), flush=True)


Found = dict[tuple[str, int], list[tuple[Cost, Cost]]]
"""The costs of a trial and of a report, measured several times, by store and number of running trials."""


def _study_costs(
    folder: Path, stores: Mapping[str, tuple[Any, Any]], running: Sequence[int], repeats: int
) -> Found:
    """Measure one store after the other, so that both see the machine in the same moods."""
    found: Found = defaultdict(list)
    for count in running:
        for n in range(repeats):
            for store, where in stores.items():
                into = folder / f"{store} {count} {n}"
                found[store, count].append(costs(into, *where, count, TRIALS, "RandomSampler"))
    return found


def _print(name: str, head: str) -> None:
    """Print the head of a table, which the page knows by its name."""
    print(f"\n<!-- {name} -->\n{head}\n|{' --- |' * (head.count('|') - 1)}", flush=True)


def _study_row(store: str, count: int, measured: Sequence[tuple[Cost, Cost]]) -> str:
    trials, reports = zip(*measured, strict=True)
    of_trial, of_report = (
        f"{interval([one.milliseconds for one in several], '.1f')} ms" for several in (trials, reports)
    )
    database = "in it"
    if any(one.database for one in trials):
        both = [np.mean([one.database for one in several]) for several in (trials, reports)]
        database = f"{both[0]:.1f} ms, {both[1]:.1f} ms"
    statements = ", ".join(
        f"{np.mean([one.statements for one in several]):.0f}" for several in (trials, reports)
    )
    return f"| {store} | {count:,} | {of_trial} | {of_report} | {database} | {statements} | {len(measured)} |"


def _tracking_row(folder: Path, database: str, address: str | None, repeats: int) -> str:
    into = folder / f"tracking in {database}"
    with mlflow_server(into / "server", address) as (server, process):
        written = [run_costs(into / f"project {n}", server, process, 5) for n in range(repeats)]
        most = [most_batches(server, process, 5.0) for _ in range(repeats)]
    parts = [
        f"{parts[0].count:.0f} requests, {interval([one.milliseconds for one in parts], '.1f')} ms"
        for parts in ([one.begin_and_end for one in written], [one.epoch for one in written])
    ]
    rate, each = (interval(values, ".1f") for values in zip(*most, strict=True))
    return f"| {database} | {' | '.join(parts)} | {rate} | {each} ms |"


def _replayed(found: Found, is_quick: bool) -> Iterator[Use]:
    """Replay searches by each number of workers, whose study is in SQLite."""
    counts = [count for store, count in found if store == "SQLite"]
    measured = np.array(
        [np.mean([[one.milliseconds for one in both] for both in found["SQLite", n]], axis=0) for n in counts]
    )

    measured = np.maximum(measured, 0)  # a report's is a difference of two, and small
    starts, reports = (tuple(map(float, column / 1000)) for column in measured.T)
    coordination = Coordination(tuple(counts), starts, reports)
    table = read_table(CURVES)
    task = Task(
        *(CurveModel(table), table.space, table.n_epochs, Costs(1.0, 0.05), SECONDS, None, 1),
        *(table.level, ()),
    )
    workers = WORKERS[:2] if is_quick else WORKERS
    seeds = [2 if is_quick else 10 if one <= 100 else 3 for one in workers]
    yield from uses(task, workers, seeds, coordination)


def _use_row(use: Use) -> str:
    seconds, share = use.seconds, use.utilisation
    return (
        f"| {use.workers:,} | {use.n} | {use.reached} "
        f"| {seconds.value:.0f} ({seconds.low:.0f} to {seconds.high:.0f}) "
        f"| {share.value:.1%} ({share.low:.1%} to {share.high:.1%}) | {use.trials:,.0f} |"
    )


def _options() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--repeats", type=int, default=4, help="measurements of each cost (4)")
    made.add_argument("--quick", action="store_true", help="the smallest numbers only, to see that it works")
    options = made.parse_args()
    if options.repeats < 2:
        made.error("expected --repeats from 2: an interval needs two")
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    return options


if __name__ == "__main__":
    main()
