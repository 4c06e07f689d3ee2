"""Made-up images for tests: one smooth random pattern a class, under noise."""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from runback.classifier.data.dataset import Dataset, Split
from runback.classifier.data.reading.array_origin import with_origin
from runback.errors import InputError

MAX_VALUES = 2**29
"""Values of all images; each takes eight bytes while the noise is drawn."""

Count = Annotated[int, Field(ge=1)]

NOISE = 32
"""Standard deviation of the noise on each pixel, of 255; the patterns' own is 37 (uniform, 64 to 192)."""


def load(
    split: Split,
    *,
    cache: Path,
    num_classes: Annotated[int, Field(ge=2)] = 4,
    n_train: Count = 512,
    n_test: Count = 128,
    height: Count = 8,
    width: Count = 8,
    channels: Literal[1, 3] = 1,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> Dataset:
    """Return images that a tiny network tells apart; the same arguments always give the same images.

    Both splits share the patterns (drawn from `seed`) and differ in their noise. Classes are as equal in
    number as they can be, in random order. Nothing is written to `cache`.
    """
    values = (num_classes + max(n_train, n_test)) * height * width * channels
    if values > MAX_VALUES:
        raise InputError(
            f"data: expected classes and images of at most {MAX_VALUES:,} values together; got {values:,}: "
            "lower data.num_classes, n_train, n_test, height or width"
        )
    shape = (num_classes, -(-height // 2), -(-width // 2), channels)
    coarse = np.random.default_rng([seed, 0]).uniform(64, 192, shape)
    patterns = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
    test = _noisy(patterns, n_test, np.random.default_rng([seed, 2]))
    if split == "test":
        return test
    return with_origin(_noisy(patterns, n_train, np.random.default_rng([seed, 1])), test, "synthetic")


def _noisy(patterns: np.ndarray, n: int, generator: np.random.Generator) -> Dataset:
    num_classes = len(patterns)
    labels = generator.permutation(np.arange(n, dtype=np.int64) % num_classes)
    noisy = patterns[labels] + generator.normal(0, NOISE, (n, *patterns.shape[1:]))
    names = tuple(f"pattern_{label}" for label in range(num_classes))
    return Dataset(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), labels, names)
