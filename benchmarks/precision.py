"""A few epochs of the two notebooks in float32 and in mixed_bfloat16: accuracy by seed, and images/s.

    python benchmarks/precision.py [--images N] [--epochs E] [--repeats SEEDS]

Both precisions train each seed, on the same images in the same order. CIFAR-10 is read from where
$RUNBACK_CIFAR10 says. Nothing else should run meanwhile. With the defaults it takes about 6 minutes on two
cores.
"""

import argparse
import contextlib
import io
import statistics
import sys
from dataclasses import dataclass

import classifier_job
from command_line import parsed, parser
from project import cifar10, temporary_project
from runback.classifier.precision import fast_precision
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout, project_root
from spread import mean, ratios, shown

EXPERIMENTS = ("notebook_deep", "notebook_augmented")
PRECISIONS = ("float32", "mixed_bfloat16")


@dataclass(frozen=True)
class Outcome:
    """A training's last validation accuracy, and its median images/s over all epochs but the first."""

    accuracy: float
    speed: float


def main() -> None:
    """Measure in a temporary project, and print."""
    options = _options()
    if cifar10() is None:
        sys.exit("set RUNBACK_CIFAR10 to where CIFAR-10 is")
    with temporary_project():
        print(f"training.precision=auto takes {': '.join(fast_precision())}")
        for experiment in EXPERIMENTS:
            outcomes: dict[str, list[Outcome]] = {precision: [] for precision in PRECISIONS}
            for seed in range(options.repeats):
                for precision in PRECISIONS if seed % 2 else reversed(PRECISIONS):
                    outcomes[precision].append(_trained(experiment, precision, seed, options))
            _print(experiment, *outcomes.values())


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "")
    made.set_defaults(epochs=4, repeats=3)
    return parsed(made)


def _trained(experiment: str, precision: str, seed: int, options: argparse.Namespace) -> Outcome:
    from runback.tracking.store import open_store

    overrides = [f"experiment={experiment}", f"training.precision={precision}", f"seed={seed}"]
    overrides += [f"data.limit={options.images}", f"training.epochs={options.epochs}"]
    screen = io.StringIO()
    with silenced(), contextlib.redirect_stdout(screen):
        classifier_job.run(classifier_job.job, overrides)
    client, run_id = open_store(Layout(project_root())).client, screen.getvalue().split()[-1]
    accuracies, speeds = (
        [point.value for point in sorted(client.get_metric_history(run_id, name), key=lambda one: one.step)]
        for name in ("val_accuracy", "images_per_second")
    )
    return Outcome(accuracies[-1], statistics.median(speeds[1:]))


def _print(experiment: str, full: list[Outcome], half: list[Outcome]) -> None:
    print(f"\n{experiment}")
    for precision, found in zip(PRECISIONS, (full, half), strict=True):
        print(f"  val_accuracy, {precision:<15} {shown([one.accuracy for one in found], '.3f')}")
    gains = [two.accuracy - one.accuracy for one, two in zip(full, half, strict=True)]
    print(f"  mixed_bfloat16 - float32      {mean(gains)}")
    print(f"  images/s, float32             {shown([one.speed for one in full], ',.0f')}")
    faster = ratios([one.speed for one in half], [one.speed for one in full])
    print(f"  mixed_bfloat16 / float32      {mean(faster)}")


if __name__ == "__main__":
    main()
