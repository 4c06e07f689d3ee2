"""What the coordinator costs: an empty trial, four slots kept busy, and the same trials run by others.

    python benchmarks/coordinator.py [--trials N] [--repeats N] [--with-hydra-optuna-sweeper]

Compare the ratios; seconds are this machine's. Nothing else should run meanwhile. With the defaults it takes
about 6 minutes.

An empty trial does nothing. They run one at a time, and what is measured is from the end of one to the end of
the next. Their study searches three parameters with TPE.

The other trials sleep, some longer than others. The coordinator runs them alone; in an app under Hydra,
which composes a config for each; and with a deterministic search, where slots wait for slower trials.
Against it: two processes that share one study on SQLite, as Optuna's documentation proposes, and run all
trials in themselves; and hydra-optuna-sweeper, whose batches wait for the slowest of their trials. That one
needs an Optuna below 3: it is installed from PyPI into its own environment, and left out unless asked for.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import empty_trials
import sleeping_trials
from runback.system.cores import available_cores
from spread import ratios, shown

FINISHED = (0, 2000)


def main() -> None:
    """Measure in a temporary folder and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="runback-benchmark-") as name:
        folder = Path(name).resolve()
        print(f"{available_cores()} cores")
        print_empty(folder / "empty", options.trials)
        print_busy(folder / "busy", options.repeats, options.sleeps)
        print_optuna(folder / "optuna", options.repeats, options.sleeps)
        if options.with_hydra_optuna_sweeper:
            print_batches(folder / "batches", options.repeats, options.sleeps)
        else:
            print("\nhydra-optuna-sweeper: left out; --with-hydra-optuna-sweeper installs and measures it")


def print_empty(folder: Path, trials: int) -> None:
    """Print what an empty trial costs in a study that is empty, and in one that is not."""
    print(
        "\nan empty trial: ask, start, tell (wanted: below 60 ms with 0, 150 ms with 2,000 finished trials)"
    )
    for finished in FINISHED:
        taken = empty_trials.measure(folder / str(finished), finished, trials)
        milliseconds = [1000 * seconds for seconds in taken]
        print(f"  {finished:>5,} finished         {shown(milliseconds, '.0f', ' ms')}")


def print_busy(folder: Path, repeats: int, sleeps: Sequence[float]) -> None:
    """Print how busy four slots are, from the first trial's start until the last one's."""
    print(f"\nfour slots, {_described(sleeps)} (wanted: at least 95 % busy)")
    ways = {
        "by the coordinator": sleeping_trials.coordinator,
        "in an app under Hydra": sleeping_trials.runback,
        "deterministic": sleeping_trials.deterministic,
    }
    shares: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(repeats):
        for name, sweep in ways.items():
            shares[name].append(100 * sleeping_trials.busy(sweep(folder / f"{name} {n}", sleeps, 4), 4))
    for name, measured in shares.items():
        print(f"  busy {name:<22} {shown(measured, '.1f', ' %')}")


def print_optuna(folder: Path, repeats: int, sleeps: Sequence[float]) -> None:
    """Print how long a sweep takes against Optuna's own pattern for several processes."""
    print(f"\nagainst two processes of Optuna on one SQLite file: {_described(sleeps)}, two at once, TPE")
    _print_against("optuna", sleeping_trials.coordinator, sleeping_trials.optuna, folder, repeats, sleeps, 2)


def print_batches(folder: Path, repeats: int, sleeps: Sequence[float]) -> None:
    """Print how long a sweep takes against one in batches."""
    python = sleeping_trials.install_hydra_optuna_sweeper(folder / "environment")
    print(f"\nagainst hydra-optuna-sweeper and its joblib launcher: {_described(sleeps)}, four at once, TPE")

    def batches(into: Path, sleeps: Sequence[float], slots: int) -> list[sleeping_trials.Span]:
        return sleeping_trials.hydra_optuna_sweeper(python, into, sleeps, slots)

    _print_against("batches", sleeping_trials.runback, batches, folder, repeats, sleeps, 4)


def _print_against(
    name: str,
    own: sleeping_trials.Sweep,
    other: sleeping_trials.Sweep,
    folder: Path,
    repeats: int,
    sleeps: Sequence[float],
    slots: int,
) -> None:
    ours, theirs = [], []
    for n in range(repeats):  # in turn: the machine's mood changes
        ours.append(sleeping_trials.wall(own(folder / f"runback {n}", sleeps, slots)))
        theirs.append(sleeping_trials.wall(other(folder / f"{name} {n}", sleeps, slots)))
    print(f"  the sleep alone        {sum(sleeps) / slots:.1f} s")
    print(f"  runback                {shown(ours, '.1f', ' s')}")
    print(f"  {name:<22} {shown(theirs, '.1f', ' s')}")
    print(f"  {f'{name} / runback':<22} {shown(ratios(theirs, ours), '.2f')}")


def _described(sleeps: Sequence[float]) -> str:
    return f"{len(sleeps)} trials that sleep {min(sleeps):.1f} to {max(sleeps):.1f} s"


def _options() -> argparse.Namespace:
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("--trials", type=int, default=50, help="empty trials (50)")
    made.add_argument("--sleeping", type=int, default=40, help="sleeping trials a sweep, at least 8 (40)")
    made.add_argument("--repeats", type=int, default=3, help="sweeps of sleeping trials of each sort (3)")
    made.add_argument(
        "--with-hydra-optuna-sweeper",
        action="store_true",
        help="install it from PyPI into a temporary environment, and measure it too",
    )
    options = made.parse_args()
    if options.trials < 2 or options.sleeping < 8 or options.repeats < 1:
        made.error("expected --trials from 2, --sleeping from 8 and --repeats from 1")
    options.sleeps = sleeping_trials.unequal(options.sleeping)
    return options


if __name__ == "__main__":
    main()
