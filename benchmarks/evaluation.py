"""What an evaluation costs: its time, its memory, and images/s of changed images beside those of `predict`.

    python benchmarks/evaluation.py [--repeats N] [NETWORK ...]

Each network, hardly trained, is evaluated on the 10,000 test images of CIFAR-10, which is read from where
$RUNBACK_CIFAR10 says. Wanted: less than 4 minutes and 3 GB on two cores, and at least 80 % of the images/s of
`predict` on images as they are. Nothing else should run meanwhile.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from project import cifar10, temporary_project

NETWORKS = ("deep_cnn", "shallow_cnn", "whitened_cnn")

SPEEDS = Path(__file__).with_name("changed_images.py")


def main() -> None:
    """Measure in a temporary project, and print."""
    options = _options()
    folder = cifar10()
    if folder is None:
        sys.exit("set RUNBACK_CIFAR10 to where CIFAR-10 is")
    with temporary_project():
        for network in options.networks or NETWORKS:
            trained = _runback(
                "train", f"model={network}", "data=cifar10", "data.limit=1000", "training.epochs=1"
            )
            run = trained.split()[-1]
            seconds, memory = _evaluated(run)
            print(f"{network}: evaluated in {seconds:.0f} s, at most {memory:.2f} GB", flush=True)
            _print_speeds(network, run, str(folder), options.repeats)


def _evaluated(run: str) -> tuple[float, float]:
    """Return the seconds that `runback evaluate` takes, and the most memory that it has, in GB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "runback", "evaluate", run], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"the evaluation of {run} failed")
    return time.perf_counter() - began, usage.ru_maxrss * 1024 / 1e9


def _print_speeds(network: str, run: str, folder: str, repeats: int) -> None:
    command = [sys.executable, SPEEDS, run, folder, str(repeats)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    rows = [[float(word) for word in line.split()] for line in lines]
    for place, name in enumerate(("moved", "corrupted"), 1):
        ratios = [row[place] / row[0] for row in rows]
        print(
            f"  {name}: {statistics.median(row[place] for row in rows):,.0f} images/s, "
            f"{statistics.median(ratios):.3f} of predict "
            f"({min(ratios):.3f} to {max(ratios):.3f}, n = {len(rows)})"
        )


def _runback(*arguments: str) -> str:
    command = [sys.executable, "-m", "runback", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--repeats", type=int, default=3, metavar="N", help="measurements of speeds (default: 3)"
    )
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"default: {', '.join(NETWORKS)}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
