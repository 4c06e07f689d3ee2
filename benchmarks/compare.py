"""What a table of many runs costs: `runback.load` and `runback compare` beside `mlflow.search_runs`.

    python benchmarks/compare.py [--runs N ...] [--repeats N]

Compare the ratios; seconds are this machine's. Nothing else should run meanwhile. With the defaults it takes
about 3 minutes on two cores.
"""

import argparse
import gc
import time
from collections.abc import Callable

import pandas as pd

import command_start
import many_runs
from project import temporary_project
from runback.comparison.run_frames import read_runs
from runback.tracking.layout import Layout, project_root
from runback.tracking.read.rows import Runs
from runback.tracking.read.run_reader import open_reader
from runback.tracking.sqlite.sqlite_file import sqlite_uri
from spread import ratios, shown

LIMITS = {1000: 2, 5000: 6}
"""Seconds within which the whole command is wanted, by the number of runs."""


def main() -> None:
    """Measure in a temporary project and print."""
    options = _options()
    with temporary_project():
        print("tables of runs: 31 params, 20 tags and 12 metrics each")
        for count in options.runs:
            _print_one(count, options.repeats)


def _print_one(count: int, repeats: int) -> None:
    layout, sweep = Layout(project_root()), f"sweep_{count}"
    many_runs.fill(layout, sweep, count)
    _check_alike(_ours(layout, sweep), _theirs(layout, sweep))
    seconds = _alternating(
        repeats,
        theirs=lambda: _theirs(layout, sweep),
        ours=lambda: _ours(layout, sweep),
        typed=lambda: _typed(layout, sweep),
    )
    print(f"\n{count:,} runs")
    print(f"  mlflow.search_runs     {shown(seconds['theirs'], '.2f', ' s')}")
    print(f"  the same columns       {shown(seconds['ours'], '.2f', ' s')}")
    print(f"  mlflow / runback       {shown(ratios(seconds['theirs'], seconds['ours']), '.1f')} (wanted: 3)")
    print(f"  runback.load's trials  {shown(seconds['typed'], '.2f', ' s')}")
    print(f"  mlflow / trials        {shown(ratios(seconds['theirs'], seconds['typed']), '.1f')}")
    command = ("compare", "--sweep", sweep)
    taken = command_start.seconds(*command, repeats=repeats)
    imports = "with" if command_start.imports_tensorflow(*command) else "without"
    wanted = f" (wanted: below {LIMITS[count]} s)" if count in LIMITS else ""
    print(f"  runback compare        {shown(taken, '.2f', ' s')}, {imports} tensorflow{wanted}")


def _alternating(repeats: int, **jobs: Callable[[], object]) -> dict[str, list[float]]:
    """Return the seconds of each job, done in turns: on a shared machine they see the same moods."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            gc.collect()
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _theirs(layout: Layout, sweep: str) -> pd.DataFrame:
    import mlflow  # not before runback has set its flags

    mlflow.set_tracking_uri(sqlite_uri(layout.database))
    condition = f"tags.`runback.sweep` = '{sweep}' AND tags.`runback.kind` = 'train'"
    return mlflow.search_runs(experiment_names=[sweep], filter_string=condition)


def _ours(layout: Layout, sweep: str) -> pd.DataFrame:
    """Return the columns that mlflow.search_runs returns, from the same database; all but experiment_id."""
    with open_reader(layout) as reader:
        runs = reader.runs(reader.of_sweep(sweep))
    return pd.DataFrame(_columns(runs))


def _columns(runs: Runs) -> dict[str, object]:
    return {
        "run_id": runs.ids,
        "status": runs.statuses,
        "artifact_uri": runs.artifact_uris,
        "start_time": pd.to_datetime(runs.starts, unit="ms", utc=True),
        "end_time": pd.to_datetime(runs.ends, unit="ms", utc=True),
        **{f"metrics.{name}": values for name, values in runs.metrics.items()},
        **{f"params.{name}": values for name, values in runs.params.items()},
        **{f"tags.{name}": values for name, values in runs.tags.items()},
    }


def _typed(layout: Layout, sweep: str) -> pd.DataFrame:
    with open_reader(layout) as reader:
        return read_runs(reader, reader.of_sweep(sweep)).rows


def _check_alike(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Raise AssertionError unless both have the same values in the same columns."""
    order = [name for name in theirs if name != "experiment_id"]
    alike = [frame[order].sort_values("run_id", ignore_index=True) for frame in (ours, theirs)]
    pd.testing.assert_frame_equal(*alike, check_dtype=False, check_exact=True)
    if set(ours) != set(order):
        raise AssertionError(f"columns differ: {sorted(set(ours) ^ set(order))}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[*LIMITS], help="runs in a table (1000 5000)")
    parser.add_argument("--repeats", type=int, default=5, help="measurements of everything (5)")
    options = parser.parse_args()
    if min(*options.runs, options.repeats, 1) < 1:
        parser.error("expected --runs and --repeats from 1")
    return options


if __name__ == "__main__":
    main()
