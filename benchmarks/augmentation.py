"""Images per second of RandomAffine, of the Keras layers that it stands for, and of ImageDataGenerator.

    python benchmarks/augmentation.py [--images N] [--repeats N] [--sheet FILE]

All three rotate by up to 40 degrees, shift and zoom by up to 20 % and mirror, N images of 32 x 32 x 3 in
batches of 128, in turn. `--sheet` writes a picture: what RandomAffine makes of images, beside what the layers
make of them. Nothing else should run meanwhile. With the defaults it takes about a minute on two cores.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from command_line import parsed, parser
from project import cifar10
from runback.classifier.data.cifar10 import load
from runback.system.cores import available_cores
from runback.system.text.quiet_stderr import silenced
from spread import mean, ratios, shown

BATCH = 128
SHAPE = (32, 32, 3)
ANGLE, SHARE = 40, 0.2


def main() -> None:
    """Measure, and print."""
    options = _options()
    with silenced():
        images = _images(options.images)
        augmentations = {
            "RandomAffine": _in_graph(_affine()),
            "stacked Keras layers": _in_graph(_stacked()),
            "ImageDataGenerator": _generator(),
        }
    speeds: dict[str, list[float]] = {name: [] for name in augmentations}
    for number in range(options.repeats + 1):
        for name, augment in augmentations.items():
            speed = _speed(augment, images)
            speeds[name] += [speed] if number else []  # the first is to warm up
    print(f"{available_cores()} cores")
    for name, measured in speeds.items():
        print(f"{name:<22} {shown(measured, ',.0f', ' images/s')}")
    ours, stacked, generator = speeds.values()
    print(f"RandomAffine / layers    {mean(ratios(ours, stacked))} (wanted: 2)")
    print(f"RandomAffine / generator {mean(ratios(ours, generator))} (wanted: 4)")
    if options.sheet:
        _write_sheet(options.sheet, images)


def _options() -> argparse.Namespace:
    made = parser(__doc__ or "")
    made.add_argument("--sheet", type=Path, help="a PNG file to write")
    made.set_defaults(images=6400, repeats=10)
    return parsed(made)


def _images(n: int) -> np.ndarray:
    """Return `n` test images of CIFAR-10, or random ones where it is not at hand."""
    path = cifar10()
    if path is None:
        return np.random.default_rng(0).integers(0, 256, (n, *SHAPE), np.uint8)
    with tempfile.TemporaryDirectory(prefix="runback-benchmark-") as cache:
        whole = load("test", cache=Path(cache), path=path).images
        return np.asarray(whole[np.arange(n) % len(whole)])


def _affine() -> Any:
    from runback.classifier.augmentation.random_affine import RandomAffine

    return _network(RandomAffine(ANGLE / 360, SHARE, SHARE, SHARE, SHARE, horizontal_flip=True, seed=0))


def _stacked() -> Any:
    from keras import layers

    return _network(
        layers.RandomRotation(ANGLE / 360, fill_mode="nearest", seed=1),
        layers.RandomTranslation(SHARE, SHARE, fill_mode="nearest", seed=2),
        layers.RandomZoom(SHARE, SHARE, fill_mode="nearest", seed=3),
        layers.RandomFlip("horizontal", seed=4),
    )


def _network(*layers: Any) -> Any:
    import keras

    return keras.Sequential([keras.Input(SHAPE, dtype="float32"), *layers])


def _in_graph(network: Any) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    augment = tf.function(lambda batch: network(batch, training=True))

    def run(images: np.ndarray) -> None:
        for start in range(0, len(images), BATCH):
            augment(tf.constant(images[start : start + BATCH]))

    return run


def _generator() -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    augment = tf.keras.preprocessing.image.ImageDataGenerator(
        rotation_range=ANGLE,
        width_shift_range=SHARE,
        height_shift_range=SHARE,
        zoom_range=SHARE,
        horizontal_flip=True,
        fill_mode="nearest",
    )

    def run(images: np.ndarray) -> None:
        batches = augment.flow(images, batch_size=BATCH, shuffle=False)
        for _ in range(len(batches)):
            next(batches)

    return run


def _speed(augment: Callable[[np.ndarray], Any], images: np.ndarray) -> float:
    start = time.perf_counter()
    augment(images)
    return len(images) / (time.perf_counter() - start)


def _write_sheet(file: Path, images: np.ndarray) -> None:
    from PIL import Image

    from runback.classifier.augmentation.preview import preview_sheet

    sheets = [preview_sheet(one, images[:6]) for one in (_affine(), _stacked())]
    both = Image.new("RGB", (sum(sheet.width for sheet in sheets), sheets[0].height), "white")
    both.paste(sheets[0], (0, 0))
    both.paste(sheets[1], (sheets[0].width, 0))
    both.save(file)
    print(f"{file}: RandomAffine on the left, the layers on the right; originals first")


if __name__ == "__main__":
    main()
