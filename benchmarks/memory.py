"""The memory of two trainings at once on a large set, and their images/s beside those on a set in memory.

    python benchmarks/memory.py [--gigabytes G] [--folder FOLDER] [--images N] [--repeats N]

Writes a file of random images of 32 x 32 pixels to a temporary folder in FOLDER, and removes it. Two
processes then do what a trial does with it: digests, a stratified split, hashes, training of deep_cnn and
validation. The file has just been written: where memory allows, it is in the system's page cache, which is
nobody's own. Each trains in turn on batches of the whole file and on batches of its first N images, in
memory.
Nothing else should run meanwhile. With the defaults it takes about 3 minutes on two cores.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from command_line import parsed, parser
from runback.system.text.quiet_stderr import silenced
from spread import mean, ratios, shown

BATCH = 128
SIDE = 32
STEPS = 25
"""Batches a measurement."""

AT_ONCE = 2


def main() -> None:
    """Measure, and print."""
    options = _options()
    if options.file:
        with silenced():
            measured = _measured(options)
        print(json.dumps(measured))
        return
    n = int(options.gigabytes * 1e9) // (3 * SIDE * SIDE)
    if shutil.disk_usage(options.folder).free < 1.5e9 * options.gigabytes:
        sys.exit(f"{options.folder}: not enough space for {options.gigabytes:g} GB")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="runback-benchmark-") as folder:
        file = Path(folder) / "images.npy"
        _write(file, n)
        command = [sys.executable, __file__, *sys.argv[1:], "--file", str(file)]
        trainings = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(AT_ONCE)]
        outputs = [training.communicate()[0] for training in trainings]
        if any(training.returncode for training in trainings):
            sys.exit("a training has failed; its reason stands above")
    print(f"{AT_ONCE} trainings at once on {n:,} images, {options.gigabytes:g} GB, a thread each")
    for number, output in enumerate(outputs, 1):
        found = json.loads(output.splitlines()[-1])
        print(f"training {number}")
        print(f"  private memory before  {found['before']:,.0f} MB")
        print(f"  most while it trained  +{found['most'] - found['before']:,.0f} MB (wanted: below 400)")
        for place, unit in enumerate(("images/s", "images a second of the processor")):
            memory, file = ([speed[place] for speed in found[name]] for name in ("memory", "file"))
            print(f"  {unit}: in memory {shown(memory, ',.0f')}, from the file {shown(file, ',.0f')}")
            print(f"    file / memory        {mean(ratios(file, memory))} (wanted: 0.97)")


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "")
    made.add_argument("--gigabytes", type=float, default=3.0, help="of images in the file (3)")
    made.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="for the file")
    made.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return parsed(made)


def _write(file: Path, n: int) -> None:
    images = np.lib.format.open_memmap(file, "w+", np.uint8, (n, SIDE, SIDE, 3))
    generator = np.random.default_rng(0)
    for start in range(0, n, 10_000):
        part = images[start : start + 10_000]
        part[:] = generator.integers(0, 256, part.shape, np.uint8)
    images.flush()


def _measured(options: argparse.Namespace) -> dict[str, Any]:
    """Train in this process; return private memory in MB, and images/s of each training in turn."""
    from runback.classifier.data.dataset import Dataset
    from runback.classifier.data.dataset_hash import content_hash
    from runback.classifier.data.reading.array_origin import with_origin
    from runback.classifier.data.split import split
    from runback.keras.seeding import seed_everything

    seed_everything(0, 1)
    mapped = np.load(options.file, mmap_mode="r")
    names = tuple("0123456789")
    labels = np.random.default_rng(1).integers(0, 10, len(mapped))
    few = Dataset(np.array(mapped[: options.images]), labels[: options.images], names)
    model = _model(few)
    _speed(model, few, 1)
    before = _private()
    with _peak() as peak:
        whole = with_origin(Dataset(mapped, labels, names), few, options.file.name)
        train, validation = split(
            whole, limit=None, validation_fraction=0.1, validation_split="stratified", validation_seed=0
        )
        for part in (train, validation):
            content_hash(part)
        speeds: dict[str, list[tuple[float, float]]] = {"memory": [], "file": []}
        for number in range(options.repeats + 1):
            sets = [("file", train), ("memory", few)]
            for name, images in sets if number % 2 else reversed(sets):
                speed = _speed(model, images, number)
                speeds[name] += [speed] if number else []  # the first is to warm up
        _validate(model, validation, options.images)
    return {"before": before, "most": max(peak), **speeds}


def _model(few: Any) -> Any:
    import keras

    from runback.classifier.models.deep_cnn import deep_cnn
    from runback.classifier.training.fit import compile_model

    return compile_model(
        deep_cnn(input_shape=(SIDE, SIDE, 3), num_classes=len(few.class_names)),
        None,
        keras.optimizers.SGD(1e-3),
    )


def _speed(model: Any, train: Any, epoch: int) -> tuple[float, float]:
    """Return the images of `STEPS` batches by the second, and by the second of the processor.

    The drawing of the epoch's order is not in it.
    """
    from runback.classifier.training.batches import steps_per_pass, training_batches

    first = epoch * steps_per_pass(len(train), BATCH)
    batches = iter(training_batches(train, BATCH, seed=0, steps=first + STEPS + 1, initial_step=first))
    model.train_on_batch(*next(batches))
    n, start, busy = 0, time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        images, labels = next(batches)
        model.train_on_batch(images, labels)
        n += len(labels)
    return n / (time.perf_counter() - start), n / (time.process_time() - busy)


def _validate(model: Any, validation: Any, n: int) -> None:
    from runback.classifier.training.batches import validation_batch, validation_batches

    size = validation_batch(BATCH)
    model.evaluate(validation_batches(validation, size).take(max(1, n // size)), verbose=0)


def _private() -> float:
    """Return this process's own memory in MB: pages that no other process has."""
    fields = [line.split() for line in Path("/proc/self/smaps_rollup").read_text().splitlines()]
    return sum(int(field[1]) for field in fields if field[0].startswith("Private_")) / 1024


@contextmanager
def _peak() -> Iterator[list[float]]:
    """Give a list that ten measurements a second of this process's own memory go to."""
    seen: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            seen.append(_private())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
