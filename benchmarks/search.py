"""Which search finds a good config soonest: searches replayed on recorded curves, on a virtual clock.

    python benchmarks/search.py FILE… [--seeds N] [--contender NAME …] [--first JSON …] [--json FILE]

FILE is a table of curves, `benchmarks/curves/*.parquet` or any other with a row for each epoch of each
config: its params, `epoch`, `val_accuracy`, `val_loss`, `seconds`. Axes, the budget of epochs and the level,
which the best 10 % of the configs reach, are found out from the table. A model made from it stands in for
training; its error on configs left out is printed first, and how many of its random configs reach the level.
The rest is the real thing: sampler, pruner and coordinator are runback's, on two slots, with a start-up cost
for each trial. First points, which a contender may begin with, stand as a list in JSON beside the table
(`NAME.first.json`), or are given; `runback, prior` takes the values of the first of them for the likely ones
of the logarithmic axes.

Printed for each contender, with 95 % intervals over the seeds: the share of the searches that reach the level
(Wilson), the median of the seconds to it, searches that do not reach it included (Kaplan-Meier's; bootstrap),
its ratio to the median of `runback` (bootstrap; the same seeds), and the mean worth of the network that a
search would keep after 60, 120, 180 and 300 s: that of the epoch with the highest report, without the chance
that made its report the highest (bootstrap). `clairvoyant` is no search but a bound: of its random
configs it knows after the first epoch which of them will reach the level. The same --seed gives the same
numbers. With the defaults it takes about 2 minutes a table on two cores. How a search by up to a thousand
workers fares, whose coordinator takes its time, is in benchmarks/scale.py.
"""

import argparse
import json
import math
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from replay.contenders import BY_DEFAULT, Task, contenders, quiet
from replay.curve_model import CurveModel
from replay.curve_table import CurveTable, read_table
from replay.keras_tuner_hyperband import drawn_config
from replay.standing import TIMES, Estimate, Outcome, Standing, outcome, standings
from replay.virtual_engine import Costs
from runback.errors import InputError
from runback.sweeping.space.search_space import described
from runback.system.cores import available_cores
from runback.system.text.terminal import say

REFERENCE = "runback"
"""The contender that the others are compared with."""

WITH_FIRST = ("runback, prior", "runback, first points")
"""The contenders that join the others where there are first points."""

RANDOM = 1000
"""The configs by which the model is compared with its table."""


def main() -> None:
    """Replay on each table and print."""
    options = _options()
    results = {}
    for file in options.files:
        try:
            table = read_table(file)
            first = _first(file, table, options.first)
        except InputError as error:
            say(f"error: {error}", stream=sys.stderr)
            raise SystemExit(2) from error
        if options.epoch_seconds is not None:
            table = table.scaled(options.epoch_seconds)
        results[str(file)] = _replay(file, table, first, options)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _replay(
    file: Path, table: CurveTable, first: list[dict[str, Any]], options: argparse.Namespace
) -> dict[str, Any]:
    """Replay all contenders on a table, print what they came to, and return it."""
    model = CurveModel(table)
    error, share = model.error, _share_of_random(model, table)
    say(f"{file}: {len(table.configs):,} configs, {table.n_epochs} epochs, level {table.level:.4f}")
    say(*(f"  {axis.name}: {described(axis.distribution)}" for axis in table.axes))
    say(*(f"  {note}" for note in table.notes))
    say(
        f"model: of the final value on configs left out RMSE {error.rmse:.4f}, R² {error.r2:.3f}, "
        f"rank correlation {error.rank_correlation:.3f} (n = {error.n}, 10 folds)",
        f"of {RANDOM:,} random configs of the model {share:.1%} reach the level",
    )
    task = Task(
        model=model,
        space=table.space,
        n_epochs=table.n_epochs,
        costs=Costs(options.start, options.checkpoint),
        seconds=options.seconds,
        n_trials=options.trials,
        slots=options.slots,
        level=table.level,
        first=first,
    )
    names = options.contender or [*BY_DEFAULT, *(WITH_FIRST if first else ())]
    outcomes = _outcomes(task, names, options)
    found = standings(outcomes, REFERENCE if REFERENCE in outcomes else None, options.seed)
    say(*_lines(found, options.seconds), "")
    return {
        "level": table.level,
        "n_configs": len(table.configs),
        "n_epochs": table.n_epochs,
        "axes": {axis.name: described(axis.distribution) for axis in table.axes},
        "notes": list(table.notes),
        "model": {**asdict(error), "random_configs_at_the_level": share},
        "contenders": {name: standing.as_json() for name, standing in found.items()},
        "seconds": {name: [_finite(one.seconds) for one in searches] for name, searches in outcomes.items()},
    }


def _share_of_random(model: CurveModel, table: CurveTable) -> float:
    """Return the share of random configs that reach the level: that of the table, if the model is good."""
    generator = np.random.default_rng(0)
    points = [drawn_config(table.space.distributions, generator) for _ in range(RANDOM)]
    best = [model.curve(point, seed).reported.max() for seed, point in enumerate(points)]
    return float(np.mean(np.array(best) >= table.level))


def _outcomes(task: Task, names: Sequence[str], options: argparse.Namespace) -> dict[str, list[Outcome]]:
    """Run each contender's search with each seed, on all cores."""
    seeds = range(options.seed, options.seed + options.seeds)
    jobs = [(name, seed) for name in names for seed in seeds]
    if options.jobs == 1:
        _share(task)
        done = [*map(_search, jobs)]
    else:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, spawn, initializer=_share, initargs=(task,)) as pool:
            done = [*pool.map(_search, jobs, chunksize=5)]
    ended = iter(done)
    return {name: [next(ended) for _ in seeds] for name in names}


_shared: list[Task] = []
"""In a process that searches: the task."""


def _share(task: Task) -> None:
    quiet()
    _shared[:] = [task]


def _search(job: tuple[str, int]) -> Outcome:
    (name, seed), task = job, _shared[0]
    return outcome(contenders(task.n_epochs)[name](task, seed), task.level, task.seconds)


def _lines(found: dict[str, Standing], seconds: float) -> list[str]:
    """Return the table of what contenders came to, with its head."""
    times = [time for time in TIMES if time <= seconds]
    head = ["contender", "reach it", "median s to it", f"/ {REFERENCE}"]
    head += [*(f"best at {time} s" for time in times), "trials", "epochs"]
    rows = [head]
    for name, one in found.items():
        rows.append(
            [
                name,
                _shown(one.share, 100, ".0f", " %"),
                _median(one.median, seconds),
                _ratio(one, found, seconds),
                *(_shown(best, 1, ".3f") for best, _ in zip(one.best, times, strict=False)),
                f"{one.n_trials:.1f}",
                f"{one.n_epochs:.0f}",
            ]
        )
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    n = next(iter(found.values())).n
    return [f"n = {n} seeds; in brackets the 95 % interval", *lines]


def _shown(estimate: Estimate, factor: float, spec: str, unit: str = "") -> str:
    value, low, high = (format(x * factor, spec) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value}{unit} ({low} to {high})"


def _median(median: Estimate, seconds: float) -> str:
    """Show a median time, of which no more is known than that it is longer than the search."""
    value, low, high = (
        f"{x:.0f}" if math.isfinite(x) else f"> {seconds:.0f}"
        for x in (median.value, median.low, median.high)
    )
    return f"{value} ({low} to {high})"


def _ratio(one: Standing, found: dict[str, Standing], seconds: float) -> str:
    """Show a ratio; where a median is only known to be longer than the search, so is the ratio."""
    if one.ratio is None:
        return "-"
    least = seconds / found[REFERENCE].median.value
    value, low, high = (
        f"{x:.2f}" if math.isfinite(x) else f"> {least:.2f}"
        for x in (one.ratio.value, one.ratio.low, one.ratio.high)
    )
    return f"{value} ({low} to {high})"


def _first(file: Path, table: CurveTable, given: Sequence[str]) -> list[dict[str, Any]]:
    """Read the first points: those given, else those of the file beside the table. Errors: InputError."""
    beside = file.with_suffix(".first.json")
    try:
        if given or not beside.exists():
            return [_checked(json.loads(text), table) for text in given]
        points = json.loads(beside.read_text("utf-8"))
        if not isinstance(points, list):
            raise InputError(f"{beside}: expected a list of first points; got {json.dumps(points):.80}")
        return [_checked(point, table) for point in points]
    except ValueError as error:
        raise InputError(f"first points: expected JSON; {error}") from error


def _checked(point: Any, table: CurveTable) -> dict[str, Any]:
    """Return a first point that is one of the space. Errors: InputError."""
    names = [axis.name for axis in table.axes]
    if not isinstance(point, dict) or {*point} != {*names}:
        raise InputError(f"first points: expected an object with {', '.join(names)}; got {json.dumps(point)}")
    for axis in table.axes:
        value = point[axis.name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (value in axis.choices if axis.choices else is_number):
            raise InputError(
                f"first points: {axis.name} is searched over {described(axis.distribution)}; got {value!r}"
            )
    return point


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Replay searches on recorded curves, on a virtual clock.",
        epilog="Contenders: " + ", ".join(contenders(1)),
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--seeds", type=int, default=200, help="searches of each contender")
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--seconds", type=float, default=300.0, help="virtual time of a search")
    parser.add_argument("--trials", type=int, help="trials of a search, at most (default: no limit)")
    parser.add_argument("--slots", type=int, default=2, help="trials at once")
    parser.add_argument("--start", type=float, default=1.0, help="seconds that a trial's start takes")
    parser.add_argument(
        "--checkpoint", type=float, default=0.05, help="seconds that an epoch's checkpoint takes"
    )
    parser.add_argument(
        "--epoch-seconds", type=float, help="seconds of the median epoch (default: as it was recorded)"
    )
    parser.add_argument(
        "--contender",
        action="append",
        choices=[*contenders(1)],
        help="only these (repeat it)",
        metavar="NAME",
    )
    parser.add_argument(
        "--first",
        action="append",
        default=[],
        metavar="JSON",
        help="a point that `first points` begins with (repeat it; default: those of FILE's .first.json)",
    )
    parser.add_argument("--jobs", type=int, default=available_cores(), help="processes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, all searches too")
    options = parser.parse_args(arguments)
    options.contender = list(dict.fromkeys(options.contender or []))
    counts = (options.seeds, options.slots, options.jobs, options.trials or 1)
    if min(counts) < 1 or options.seed < 0:
        parser.error("expected --seeds, --trials, --slots and --jobs from 1, --seed from 0")
    if options.json is not None and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: there is no such folder")
    times = (options.start, options.checkpoint)
    if not (options.seconds > 0 and (options.epoch_seconds or 1) > 0 and min(times) >= 0):
        parser.error("expected --seconds and --epoch-seconds above 0, --start and --checkpoint from 0")
    return options


if __name__ == "__main__":
    main()
