"""What the shipped experiments are worth: each is trained and evaluated on CIFAR-10, on several seeds.

    python benchmarks/evaluated_experiments.py [--seeds N] [--results FILE] [--override KEY=VALUE] ...
        [EXPERIMENT ...]

Each training and each evaluation is a command of its own, as a person would type it. The table has the mean
over seeds with its 95 % interval (Student's t), of all images of the test split. With `--results`, what a
seed has shown is added to a file, and seeds that are in it are not trained again. With the defaults it takes
some hours on two cores.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from project import cifar10, temporary_project
from runback.statistics.interval import mean_interval

EXPERIMENTS = ("notebook_deep", "notebook_augmented", "cifar10_fast")

NUMBERS = (
    "quality.accuracy",
    "groups.worst_class_accuracy",
    "calibration.ece",
    "consistency.consistency",
    "corruptions.corruption_accuracy",
    "inputs.noise_auroc",
    "membership.membership_auc",
)
"""The columns of the table, by their names in evaluation.json."""


def main() -> None:
    """Train, evaluate and print; what has been measured before is only printed."""
    options = _options()
    if cifar10() is None:
        sys.exit("set RUNBACK_CIFAR10 to where CIFAR-10 is")
    measured: dict[str, dict[str, Any]] = {}
    results = None if options.results is None else Path(options.results).resolve()
    if results is not None and results.exists():
        measured = json.loads(results.read_text())
    with temporary_project():
        for seed in range(options.seeds):
            for name in options.experiments or EXPERIMENTS:
                key = f"{name} seed={seed}"
                if key in measured:
                    continue
                measured[key] = _measure(name, seed, options.override)
                print(f"{key}: {measured[key]}", flush=True)
                if results is not None:
                    results.write_text(json.dumps(measured, indent=1))
    _print_table(measured, options.experiments or EXPERIMENTS)


def _measure(name: str, seed: int, overrides: list[str]) -> dict[str, float]:
    """Return the numbers of one training, and the seconds that it and its evaluation took."""
    began = time.perf_counter()
    run = _runback("train", f"experiment={name}", f"seed={seed}", *overrides).split()[-1]
    trained = time.perf_counter()
    report = json.loads(_runback("evaluate", run, "--json"))
    seconds = {"training": trained - began, "evaluation": time.perf_counter() - trained}
    return {number: _value(report, number) for number in NUMBERS} | seconds


def _value(report: dict[str, Any], name: str) -> float:
    section, number = name.split(".")
    return float(report[section][number]["value"])


def _print_table(measured: dict[str, dict[str, float]], experiments: list[str] | tuple[str, ...]) -> None:
    print("| experiment | n | " + " | ".join(name.partition(".")[2] for name in NUMBERS) + " |")
    print("|---" * (len(NUMBERS) + 2) + "|")
    for name in experiments:
        ones = [one for key, one in measured.items() if key.startswith(f"{name} ")]
        cells = [_shown([one[number] for one in ones]) for number in NUMBERS]
        print(f"| `{name}` | {len(ones)} | " + " | ".join(cells) + " |")


def _shown(values: list[float]) -> str:
    if len(values) < 3:  # of two, an interval says nothing
        return ", ".join(f"{value:.3f}" for value in values)
    interval = mean_interval(values)
    return f"{interval.mean:.3f} ± {(interval.high - interval.low) / 2:.3f}"


def _runback(*arguments: str) -> str:
    command = [sys.executable, "-m", "runback", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each (default: 3)")
    parser.add_argument("--results", metavar="FILE", help="keep what was measured, and go on from it")
    parser.add_argument(
        "--override", action="append", default=[], metavar="KEY=VALUE", help="of each training; repeatable"
    )
    parser.add_argument(
        "experiments", nargs="*", metavar="EXPERIMENT", help=f"default: {', '.join(EXPERIMENTS)}"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
