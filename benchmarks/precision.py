"""The two notebooks in float32 and in mixed_bfloat16: validation accuracy by seed, and images/s.

    python benchmarks/precision.py [--images N] [--epochs E] [--repeats SEEDS]

Both precisions train each seed, on the same images in the same order. CIFAR-10 is read from where
$RUNBACK_CIFAR10 says. Nothing else should run meanwhile, for the times: by the second of the processor they
say something in any case.
"""

import argparse
import contextlib
import io
import sys
import time
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
    """A training's last validation accuracy, and its seconds: all, and those of the processor."""

    accuracy: float
    seconds: float
    processor: float


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
    start, busy = time.perf_counter(), time.process_time()
    with silenced(), contextlib.redirect_stdout(screen):
        classifier_job.run(classifier_job.job, overrides)
    seconds, processor = time.perf_counter() - start, time.process_time() - busy
    run_id = screen.getvalue().split()[-1]
    points = open_store(Layout(project_root())).client.get_metric_history(run_id, "val_accuracy")
    return Outcome(max(points, key=lambda point: point.step).value, seconds, processor)


def _print(experiment: str, full: list[Outcome], half: list[Outcome]) -> None:
    print(f"\n{experiment}")
    for precision, found in zip(PRECISIONS, (full, half), strict=True):
        print(f"  val_accuracy, {precision:<15} {shown([one.accuracy for one in found], '.3f')}")
    gains = [two.accuracy - one.accuracy for one, two in zip(full, half, strict=True)]
    print(f"  mixed_bfloat16 - float32      {mean(gains)}")
    speeds = {
        "speed": ratios([one.seconds for one in full], [one.seconds for one in half]),
        "speed by the processor": ratios([one.processor for one in full], [one.processor for one in half]),
    }
    for name, found in speeds.items():
        print(f"  {name + ', ratio':<29} {mean(found)}")


if __name__ == "__main__":
    main()
