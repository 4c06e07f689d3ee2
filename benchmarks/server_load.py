"""What loading many runs from a tracking server costs: in bulk, beside a call for each metric of each run.

    python benchmarks/server_load.py [--runs N] [--user]

A PostgreSQL and an MLflow server with passwords are started for it, see tests/tracking_server.py. `--user`
reads as a user who is no administrator: the server looks every run up in every call, to see whether that is
allowed. Compare the ratios; seconds are this machine's, which has the servers on it too. With the defaults it
takes about 2 minutes on two cores.
"""

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

import many_runs
from project import temporary_project
from runback.comparison.run_frames import read_curves, read_runs
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.run_reader import open_reader
from runback.tracking.store import experiment_id, open_store

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tracking_server import DATABASE, TrackingServer

WANTED = 20
"""Seconds within which 1,000 runs and their curves are wanted."""

SWEEP = "many"

CALLS = 8
"""Calls one by one that are under way at once."""

PART = 10
"""Of so many runs one is loaded by a call for each metric."""


def main() -> None:
    """Measure with a server of its own and print."""
    options = _options()
    with temporary_project(), tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL's user has to get in
        with TrackingServer(Path(folder) / "server") as server:
            os.environ.update(server.environment)
            layout = Layout(project_root())
            _fill(layout, server, options.runs)
            if options.user:
                _become_user(server)
            _print(layout, server, options)


def _print(layout: Layout, server: TrackingServer, options: argparse.Namespace) -> None:
    before = server.cpu_seconds
    trials, curves, metrics = _in_bulk(layout)
    used = server.cpu_seconds - before
    print(f"{options.runs:,} runs, 31 params, 20 tags and 12 metrics each, 7 of them curves of 10 epochs")
    print(f"  the trials, in bulk      {trials:6.1f} s")
    print(f"  their curves, in bulk    {curves:6.1f} s")
    print(f"  together                 {trials + curves:6.1f} s (wanted for 1,000: below {WANTED} s)")
    print(f"  of the servers' CPU      {used:6.1f} s")
    one_by_one = _one_by_one(layout)
    print(f"  curves, call by call     {one_by_one * metrics:6.1f} s (from {1 / PART:.0%} of the runs)")
    print(f"  call by call / in bulk   {one_by_one * metrics / curves:6.1f}")


def _in_bulk(layout: Layout) -> tuple[float, float, int]:
    """Return the seconds of a sweep's trials and of their curves, and how many curves there are."""
    start = time.perf_counter()
    with open_reader(layout) as reader:
        frame = read_runs(reader, reader.of_sweep(SWEEP))
        between = time.perf_counter()
        curves = read_curves(reader, frame.rows["run"].tolist())
    end = time.perf_counter()
    if len(frame.rows) != curves["run"].nunique():
        raise AssertionError("runs without curves")
    return between - start, end - between, len(frame.rows) * len(many_runs.CURVES)


def _one_by_one(layout: Layout) -> float:
    """Return the seconds of a call for one metric of one run, from those of some runs."""
    store = open_store(layout)
    with open_reader(layout) as reader:
        ids = reader.of_sweep(SWEEP)[::PART]
    calls = [(run_id, name) for run_id in ids for name in many_runs.CURVES]
    start = time.perf_counter()
    with ThreadPoolExecutor(CALLS) as pool:
        list(pool.map(lambda call: store.client.get_metric_history(*call), calls))
    return (time.perf_counter() - start) / len(calls)


def _fill(layout: Layout, server: TrackingServer, count: int) -> None:
    """Write runs into the server's tables at once."""
    experiment = experiment_id(open_store(layout), SWEEP)
    with psycopg.connect(server.postgres.url(DATABASE), password=server.postgres.password) as connection:
        many_runs.insert(connection.cursor(), layout, experiment, SWEEP, count, placeholder="%s")


def _become_user(server: TrackingServer) -> None:
    """Go on as a user who is no administrator: the server looks up what such a one may read."""
    from mlflow.server.auth.client import AuthServiceClient

    password = "measured-from-here"  # noqa: S105 - of a server that ends with this program
    AuthServiceClient(server.uri).create_user("reader", password)
    os.environ.update(MLFLOW_TRACKING_USERNAME="reader", MLFLOW_TRACKING_PASSWORD=password)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="runs to load (1000)")
    parser.add_argument("--user", action="store_true", help="load as a user, not as the administrator")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("expected --runs from 1")
    return options


if __name__ == "__main__":
    main()
