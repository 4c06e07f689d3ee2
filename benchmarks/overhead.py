"""What runback costs: training speed, the start of a trial, the start of a command.

    python benchmarks/overhead.py [--images N] [--epochs E] [--repeats N] [--data cifar10]

Compare the ratios; seconds are this machine's. Nothing else should run meanwhile. With the defaults it takes
about 6 minutes on two cores.
"""

import argparse
import statistics
from collections.abc import Sequence
from importlib.metadata import version

import command_start
import throughput
import trial_start
from command_line import parsed, parser
from project import cifar10, temporary_project
from runback.system.cores import available_cores
from spread import ratios, shown


def main() -> None:
    """Measure in a temporary project and print."""
    options = _options()
    with temporary_project():
        print(f"{available_cores()} cores, TensorFlow {version('tensorflow')}")
        # First, because the process of a sweep never imports TensorFlow and that of a training has to.
        print_trial_start(options.repeats)
        print_command_start(options.repeats)
        print_throughput("shallow_cnn on digits", _digits(options), options.repeats)
        print_throughput(f"deep_cnn on {options.data}", _images(options), options.repeats)


def print_trial_start(repeats: int) -> None:
    """Print what forkserver and spawn need to start a trial."""
    print("\ntrial start: asked to first batch, one trial at a time (wanted: forkserver below 0.5 s)")
    medians = {}
    for method in ("forkserver", "spawn"):
        starts = trial_start.measure(method, repeats)
        medians[method] = statistics.median(start.until_batch for start in starts)
        print(f"  {method:<22} {shown([start.until_batch for start in starts], '.2f', ' s')}")
        print(f"    until the job begins {shown([start.until_job for start in starts], '.2f', ' s')}")
        print(f"    tracing, not counted {shown([start.tracing for start in starts], '.2f', ' s')}")
    print(f"  spawn / forkserver     {medians['spawn'] / medians['forkserver']:.1f}")


def print_command_start(repeats: int) -> None:
    """Print the wall time of light commands."""
    print("\ncommands: wall time (wanted: --help below 0.4 s, best below 2 s, without tensorflow)")
    for arguments in (("--help",), ("best", "forkserver")):
        taken = command_start.seconds(*arguments, repeats=repeats)
        imports = "with" if command_start.imports_tensorflow(*arguments) else "without"
        print(f"  runback {' '.join(arguments):<14} {shown(taken, '.2f', ' s')}, {imports} tensorflow")


def print_throughput(title: str, overrides: Sequence[str], repeats: int) -> None:
    """Print how fast a tracked run trains, and how that compares with bare `model.fit`."""
    print(f"\nthroughput: {title} (wanted: tracked / bare at least 0.97)")
    speeds = throughput.measure(overrides, repeats)
    print(f"  bare model.fit         {shown(speeds.bare, ',.0f', ' images/s')}")
    print(f"  runback train          {shown(speeds.tracked, ',.0f', ' images/s')}")
    print(f"  tracked / bare         {shown(ratios(speeds.tracked, speeds.bare), '.3f')}")


def _digits(options: argparse.Namespace) -> list[str]:
    # Ten times as many epochs: these take a fraction of a second, and a fixed cost shows most in them.
    return [
        "data=digits",
        f"data.limit={options.images}",
        "model=shallow_cnn",
        f"training.epochs={10 * options.epochs}",
    ]


def _images(options: argparse.Namespace) -> list[str]:
    size = (
        [f"data.limit={options.images}"]
        if options.data == "cifar10"
        else [f"data.n_train={options.images}", "data.height=32", "data.width=32", "data.channels=3"]
    )
    shape = ["model=deep_cnn", "training.batch_size=128", f"training.epochs={options.epochs}"]
    return [f"data={options.data}", *size, *shape]


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    data = "cifar10" if cifar10() else "synthetic"
    made.add_argument("--data", choices=("cifar10", "synthetic"), default=data, help=f"({data})")
    return parsed(made)


if __name__ == "__main__":
    main()
