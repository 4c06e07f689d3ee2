"""How the cores are divided best: images/s of a sweep whose trials share them in each way, by network.

    python benchmarks/split.py [--images N] [--epochs E] [--repeats R]

A sweep of two trials a core is timed from its command to its end, all that a trial costs included, with one
trial at a time on all cores, one trial on each core, and what lies between; `auto` is the second of these,
as far as memory allows. Nothing else should run meanwhile. With the defaults it takes about 10 minutes on two
cores.
"""

import subprocess
import sys
import time
from pathlib import Path

from command_line import parsed, parser
from project import cifar10, temporary_project
from runback.system.cores import available_cores
from spread import mean, ratios, shown

NETWORKS = ("shallow_cnn", "deep_cnn", "resnet20")


def main() -> None:
    """Measure in a temporary project, and print."""
    made = parser(__doc__ or "")
    made.set_defaults(images=2000, epochs=3, repeats=3)
    options = parsed(made)
    if cifar10() is None:
        sys.exit("set RUNBACK_CIFAR10 to where CIFAR-10 is")
    cores = available_cores()
    splits = sorted({(workers, cores // workers) for workers in (1, max(1, cores // 2), cores)})
    with temporary_project() as folder:
        _swept(folder, "warm-up", NETWORKS[0], splits[0], 1, 100, 1)  # decode the images, make the stores
        for network in NETWORKS:
            speeds: dict[tuple[int, int], list[float]] = {split: [] for split in splits}
            for repeat in range(options.repeats):
                for split in splits if repeat % 2 else reversed(splits):
                    name = f"{network}-{repeat}-{split[0]}"
                    seconds = _swept(folder, name, network, split, 2 * cores, options.images, options.epochs)
                    speeds[split].append(2 * cores * options.images * options.epochs / seconds)
            print(f"\n{network}")
            for (workers, threads), measured in speeds.items():
                ratio = mean(ratios(measured, speeds[cores, 1]))
                print(
                    f"  {workers} x {threads} threads  {shown(measured, ',.0f', ' images/s')}, / auto {ratio}"
                )


def _swept(
    folder: Path, name: str, network: str, split: tuple[int, int], n_trials: int, images: int, epochs: int
) -> float:
    """Return the seconds that a sweep takes, whose trials differ in their seeds alone."""
    overrides = [f"model={network}", "data=cifar10", f"data.limit={images * 5 // 4}"]
    overrides += ["data.validation_fraction=0.2", f"training.epochs={epochs}"]
    sweeper = [f"name={name}", f"n_trials={n_trials}", f"n_workers={split[0]}", f"threads={split[1]}"]
    command = [sys.executable, "-m", "runback", "train", "--multirun", "seed=range(1,1000)", *overrides]
    command += ["hydra/sweeper/sampler=random", *(f"hydra.sweeper.{one}" for one in sweeper)]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
