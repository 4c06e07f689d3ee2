"""What a strong start is worth: `experiment=cifar10_fast` beside `experiment=notebook_deep` on CIFAR-10.

    python benchmarks/fast_start.py [--seeds N] [OVERRIDE ...]

For each seed it runs both as `runback train`, the second first every other time, and tests what they have
trained. The wall time is that of the whole command, its start included; the time of processors, user's and
system's, says more where something else runs meanwhile. OVERRIDEs are given to both, as data.limit=1000. With
the defaults it takes about three quarters of an hour on two cores.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass

from project import temporary_project
from runback.statistics.interval import mean_interval

EXPERIMENTS = ("notebook_deep", "cifar10_fast")

WANTED = 0.85
"""The test accuracy that the strong start is to reach within the other's wall time."""


@dataclass(frozen=True)
class Trained:
    """One training of an experiment."""

    test_accuracy: float
    wall: float
    """Seconds of the command."""
    processors: float
    """Seconds of all cores together."""


def main() -> None:
    """Measure in a temporary project and print."""
    options = _options()
    trained: dict[str, list[Trained]] = {name: [] for name in EXPERIMENTS}
    with temporary_project():
        _runback("train", "data=cifar10", "data.limit=100", "training.epochs=1")  # decode the images
        for seed in range(options.seeds):
            for name in EXPERIMENTS if seed % 2 == 0 else EXPERIMENTS[::-1]:
                one = _train(name, seed, options.overrides)
                print(f"{name} seed {seed}: {_line([one])}", flush=True)
                trained[name].append(one)
    for name, ones in trained.items():
        print(f"{name}, n = {len(ones)}: {_line(ones)}")
    walls = [[one.wall for one in trained[name]] for name in EXPERIMENTS]
    ratios = [fast / slow for slow, fast in zip(*walls, strict=True)]
    print(f"wall time, cifar10_fast / notebook_deep: {_shown(ratios, '.2f')} (wanted: at most 1)")
    print(f"test accuracy of cifar10_fast wanted: at least {WANTED}")


def _train(name: str, seed: int, overrides: list[str]) -> Trained:
    started, used = time.perf_counter(), _processors()
    output = _runback("train", f"experiment={name}", f"seed={seed}", *overrides)
    wall, processors = time.perf_counter() - started, _processors() - used
    report = json.loads(_runback("evaluate", output.split()[-1], "--json"))
    return Trained(report["quality"]["accuracy"]["value"], wall, processors)


def _runback(*arguments: str) -> str:
    command = [sys.executable, "-m", "runback", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _processors() -> float:
    """Return the seconds of all cores that commands have taken so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _line(ones: list[Trained]) -> str:
    accuracy = _shown([one.test_accuracy for one in ones], ".4f")
    wall, processors = (
        _shown([one.wall for one in ones], ".0f"),
        _shown([one.processors for one in ones], ".0f"),
    )
    return f"test accuracy {accuracy}, wall {wall} s, processors {processors} s"


def _shown(values: list[float], spec: str) -> str:
    """Return the mean, with half of its 95 % interval where there are several values."""
    if len(values) == 1:
        return format(values[0], spec)
    interval = mean_interval(values)
    return f"{interval.mean:{spec}} ± {(interval.high - interval.low) / 2:{spec}}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each (default: 3)")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="for both, as data.limit=1000")
    return parser.parse_args()


if __name__ == "__main__":
    main()
