"""What `model.pooling=blur` does to answers when an image moves: consistency beside that of maxima, over
seeds.

    python benchmarks/pooling.py [--seeds N] [--images N] [--epochs N] [--test N] [OVERRIDE ...]

For each seed a network is trained with either pooling on the same images of CIFAR-10, and asked about the
same test images, each as it is and moved by 1 to 4 pixels in four directions. OVERRIDEs are given to both
trainings, as model=shallow_cnn.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

import runback
from project import cifar10, temporary_project
from runback.classifier.data.parquet import load
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.evaluation.shifts.consistency import consistency
from runback.statistics.interval import mean_interval

POOLINGS = ("max", "blur")

NUMBERS = ("consistency", "accuracy", "accuracy of moved images")


def main() -> None:
    """Train and measure in a temporary project, and print."""
    options = _options()
    folder = cifar10()
    if folder is None:
        sys.exit("set RUNBACK_CIFAR10 to where CIFAR-10 is")
    measured: dict[str, list[tuple[float, ...]]] = {pooling: [] for pooling in POOLINGS}
    with temporary_project():
        for seed in range(options.seeds):
            for pooling in POOLINGS:
                run = _train(pooling, seed, options)
                measured[pooling].append(_measure(run, folder, options.test))
                print(f"{pooling} seed {seed}:", *(f"{one:.4f}" for one in measured[pooling][-1]), flush=True)
    for place, name in enumerate(NUMBERS):
        values = {pooling: np.array([one[place] for one in measured[pooling]]) for pooling in POOLINGS}
        line = ", ".join(f"{pooling} {_shown(values[pooling])}" for pooling in POOLINGS)
        print(f"{name}: {line}; blur less max {_shown(values['blur'] - values['max'])} (n = {options.seeds})")


def _train(pooling: str, seed: int, options: argparse.Namespace) -> str:
    command = [sys.executable, "-m", "runback", "train", "data=cifar10", f"model.pooling={pooling}"]
    command += [f"seed={seed}", f"data.limit={options.images}", f"training.epochs={options.epochs}"]
    done = subprocess.run([*command, *options.overrides], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()[-1]


def _measure(run: str, folder: Path, count: int) -> tuple[float, ...]:
    test = load("test", cache=Path("mlruns/data"), path=folder, image_column="img")
    network = runback.load_model(run)
    answers = predict_answers(network, test.take(np.arange(count)))
    found = consistency(network, answers, lambda: None)
    return found.mean.value, float(answers.correct.mean()), found.accuracy.value


def _shown(values: np.ndarray) -> str:
    interval = mean_interval(values)
    return f"{interval.mean:+.4f} ± {(interval.high - interval.low) / 2:.4f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="at least 2 (default: 5)")
    parser.add_argument(
        "--images", type=int, default=10_000, metavar="N", help="trained on (default: 10,000)"
    )
    parser.add_argument("--epochs", type=int, default=6, metavar="N", help="of each training (default: 6)")
    parser.add_argument("--test", type=int, default=2_000, metavar="N", help="test images (default: 2,000)")
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="for both, as model=shallow_cnn")
    return parser.parse_args()


if __name__ == "__main__":
    main()
