"""What an evaluation costs: its time, its memory, and images/s of changed images beside those of `predict`.

    python benchmarks/evaluation.py [--repeats N] [NETWORK ...]

Each network, hardly trained, is evaluated on the 10,000 test images of CIFAR-10, which is read from where
$RUNBACK_CIFAR10 says. Wanted: less than 4 minutes and 3 GB on two cores, and at least 80 % of the images/s of
`predict` on images as they are. Nothing else should run meanwhile.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

from project import cifar10, temporary_project

NETWORKS = ("deep_cnn", "shallow_cnn", "whitened_cnn")

SPEEDS = """
import sys, time
import numpy as np
import keras
from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.evaluation.shifts.consistency import consistency
from runback.classifier.evaluation.shifts.corruption_accuracy import corruption_accuracy
from runback.classifier.data.parquet import load
from pathlib import Path
import runback

network = runback.load_model(sys.argv[1])
test = load("test", cache=Path("mlruns/data"), path=Path(sys.argv[2]), image_column=sys.argv[3])
network.predict(test.images[:1000], verbose=0)
for _ in range(int(sys.argv[4])):
    began = time.perf_counter(); network.predict(np.asarray(test.images[:]), batch_size=500, verbose=0)
    plain = len(test) / (time.perf_counter() - began)
    found = predict_answers(network, test)
    began = time.perf_counter(); consistency(network, found, lambda: None)
    moves = 16 * len(test) / (time.perf_counter() - began)
    began = time.perf_counter(); corruption_accuracy(network, found, lambda: None)
    worse = 75 * len(test) / (time.perf_counter() - began)
    print(plain, moves, worse, flush=True)
"""


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
            began = time.perf_counter()
            _runback("evaluate", run)
            seconds = time.perf_counter() - began
            memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
            print(f"{network}: evaluated in {seconds:.0f} s, at most {memory:.2f} GB", flush=True)
            _print_speeds(network, run, str(folder), options.repeats)


def _print_speeds(network: str, run: str, folder: str, repeats: int) -> None:
    command = [sys.executable, "-c", SPEEDS, run, folder, "img", str(repeats)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    rows = [[float(word) for word in line.split()] for line in lines]
    for place, name in enumerate(("moved", "corrupted"), 1):
        ratios = [row[place] / row[0] for row in rows]
        print(
            f"  {name}: {statistics.median(row[place] for row in rows):,.0f} images/s, "
            f"{statistics.median(ratios):.3f} of predict ({min(ratios):.3f} to {max(ratios):.3f}, n "
            f"= {len(rows)})"
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
