"""What it costs that a run can be run back: its record, deterministic operations, checkpoints.

    python benchmarks/record.py [--images N] [--epochs E] [--repeats N]

Nothing else should run meanwhile. With the defaults it takes about 6 minutes on two cores. CIFAR-10 is read
from where $RUNBACK_CIFAR10 says; what needs it is left out where there is none.

The record: the seconds that a run in a fresh process waits for its record before the first epoch and for its
result after the last, data, code, packages and predictions included. Git looks at the code while the network
is built: of that only the wait counts. Its training, which is not measured, is cut down to one step an epoch.

Determinism: two processes, one with and one without TensorFlow's deterministic operations, train in turn.
"""

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

import classifier_job
from command_line import parsed, parser
from project import cifar10, temporary_project
from runback.system.cores import available_cores
from runback.system.text.quiet_stderr import silenced
from runback.tracking.layout import Layout, project_root
from spread import ratios, shown

DIGITS = ("data=digits", "model=shallow_cnn")
NOTEBOOK = ("model=deep_cnn", "optimizer=rmsprop", "training.batch_size=128")
COLOUR = ("data=synthetic", "data.height=32", "data.width=32", "data.channels=3")


def main() -> None:
    """Measure in a temporary project and print."""
    options = _options()
    if options.serve:
        _serve(is_deterministic=options.serve == "deterministic")
        return
    with temporary_project():
        print(f"{available_cores()} cores, TensorFlow {version('tensorflow')}")
        print_record("digits", [*DIGITS, "training.epochs=1"], "0.5 s", options.repeats)
        if cifar10() is None:
            print("\nthe record of a run on cifar10: left out, set RUNBACK_CIFAR10 to measure it")
        else:
            overrides = ["data=cifar10", *NOTEBOOK, "training.epochs=1"]
            print_record("cifar10", overrides, "1.5 s", options.repeats)
        with server("deterministic") as deterministic, server("free") as free:
            for title, overrides in _trainings(options).items():
                print_determinism(title, deterministic, free, overrides, options.repeats)
            print_checkpoints(deterministic, 2 * options.repeats)


def _trainings(options: argparse.Namespace) -> dict[str, list[str]]:
    colour = [*COLOUR, *NOTEBOOK, f"data.n_train={options.images}", "augmentation=flip_crop"]
    return {
        "shallow_cnn on digits": [*DIGITS, "augmentation=shift", f"training.epochs={5 * options.epochs}"],
        "deep_cnn on synthetic": [*colour, f"training.epochs={options.epochs}"],
    }


def print_record(data: str, overrides: Sequence[str], wanted: str, repeats: int) -> None:
    """Print how long runs on `data` waited for their record."""
    print(f"\nthe record of a run on {data} (wanted: below {wanted})")
    rows = []
    for _ in range(repeats + 1):  # the first one warms up the caches
        with server("deterministic") as ask:
            rows.append(ask("recording", overrides))
    for part in rows[0]:
        print(f"  {part:<22} {shown([row[part] for row in rows[1:]], '.3f', ' s')}")
    print(f"  {'together':<22} {shown([sum(row.values()) for row in rows[1:]], '.3f', ' s')}")


Ask = Callable[[str, Sequence[str]], Any]
"""Asks a server for one measurement."""


def print_determinism(
    title: str, deterministic: Ask, free: Ask, overrides: Sequence[str], repeats: int
) -> None:
    """Print how fast deterministic operations train, and how that compares with others."""
    print(f"\ndeterminism: {title} (wanted: deterministic / free at least 0.95)")
    speeds = [(deterministic("speed", overrides), free("speed", overrides)) for _ in range(repeats + 1)]
    with_it, without = ([float(speed) for speed in column] for column in zip(*speeds[1:], strict=True))
    print(f"  deterministic          {shown(with_it, ',.0f', ' images/s')}")
    print(f"  free                   {shown(without, ',.0f', ' images/s')}")
    print(f"  deterministic / free   {shown(ratios(with_it, without), '.3f')}")


def print_checkpoints(ask: Ask, repeats: int) -> None:
    """Print how long a checkpoint of deep_cnn takes, until it is on the disk."""
    print("\na checkpoint: deep_cnn on 32 x 32 colour images (wanted: below 100 ms)")
    taken, size = ask("checkpoints", [*COLOUR, *NOTEBOOK, f"training.epochs={repeats + 1}"])
    print(f"  copied and written     {shown([1000 * seconds for seconds in taken[1:]], '.0f', ' ms')}")
    print(f"  size                   {size / 1e6:.1f} MB")


@contextlib.contextmanager
def server(kind: str) -> Iterator[Ask]:
    """Start a process that measures in this project, with deterministic operations or "free" of them."""
    command = [sys.executable, str(Path(__file__).resolve()), f"--serve={kind}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(what: str, overrides: Sequence[str]) -> Any:
            print(json.dumps([what, list(overrides)]), file=process.stdin, flush=True)
            answer = process.stdout.readline()  # type: ignore[union-attr]
            if not answer:
                raise SystemExit(f"the process that measured {what} died")
            return json.loads(answer)

        yield ask
        process.stdin.close()  # type: ignore[union-attr]


def _serve(*, is_deterministic: bool) -> None:
    with silenced():
        import tensorflow as tf
    if not is_deterministic:
        tf.config.experimental.enable_op_determinism = lambda: None
    measure = {"recording": _recording, "speed": _speed, "checkpoints": _checkpoints}
    for line in sys.stdin:
        what, overrides = json.loads(line)
        print(json.dumps(measure[what](overrides)), flush=True)


def _run(job: Callable[[DictConfig], Any], overrides: Sequence[str]) -> str:
    """Run `job` on the composed config; return what it printed."""
    screen = io.StringIO()
    with silenced(), contextlib.redirect_stdout(screen):
        classifier_job.run(job, list(overrides))
    return screen.getvalue()


def _recording(overrides: Sequence[str]) -> dict[str, float]:
    """Train and return what each part of the record took, in seconds."""
    with silenced():
        from runback.classifier import training_task as train
        from runback.runs.live import run as live
    ends: dict[str, float] = {}
    taken: dict[str, float] = {}

    def timed(owner: Any, name: str, part: str) -> None:
        function = getattr(owner, name)

        def timing(*args: Any, **knobs: Any) -> Any:
            began = time.perf_counter()
            if "code" not in taken and "prepare" in ends:
                taken["code"] = began - ends["prepare"]  # the first that follows has it as an argument
            try:
                return function(*args, **knobs)
            finally:
                ends[part] = time.perf_counter()
                if part != "prepare":
                    taken[part] = ends[part] - began

        setattr(owner, name, timing)

    timed(train, "prepare", "prepare")
    timed(live, "task_record", "data, packages, ...")
    timed(live.Run, "_log_record", "written")
    timed(live.Run, "_log_result", "result")
    _train_one_step_an_epoch()
    _run(classifier_job.job, overrides)
    return taken


def _train_one_step_an_epoch() -> None:
    import keras

    fit = keras.Model.fit

    def short(model: Any, *args: Any, **knobs: Any) -> Any:
        return fit(model, *args, **{**knobs, "steps_per_epoch": 1})

    keras.Model.fit = short


def _speed(overrides: Sequence[str]) -> float:
    """Train and return the median epoch's images per second, without the first, which builds the graph."""
    from runback.tracking.store import open_store

    run_id = _run(classifier_job.job, overrides).split()[-1]
    client = open_store(Layout(project_root())).client
    points = sorted(client.get_metric_history(run_id, "images_per_second"), key=lambda point: point.step)
    return statistics.median(point.value for point in points[1:])


def _checkpoints(overrides: Sequence[str]) -> tuple[list[float], int]:
    """Make a checkpoint for each epoch; return the seconds each took, and the bytes of the last."""
    taken: list[float] = []
    sizes: list[int] = []

    def job(cfg: DictConfig) -> None:
        from runback.classifier.training.fit import compile_model
        from runback.keras.training_state import build_optimizer, model_state
        from runback.runs.checkpoint import Checkpoint, save

        spec, prepared = classifier_job.prepared(cfg)
        model = compile_model(prepared.network, prepared.augmentation, prepared.optimizer)
        build_optimizer(model)
        newest = None
        for epoch in range(spec.options.epochs):
            began = time.perf_counter()
            made = Checkpoint(epoch, 0, [], model_state(model))
            newest = save(project_root() / "mlruns" / "checkpoints", made, keep=newest)
            taken.append(time.perf_counter() - began)
            sizes.append(newest.stat().st_size)

    _run(job, overrides)
    return taken, sizes[-1]


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--serve", choices=("deterministic", "free"), help=argparse.SUPPRESS)
    return parsed(made)


if __name__ == "__main__":
    main()
