"""Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels: real images that need no download."""

from pathlib import Path

import numpy as np

from runback.classifier.data.dataset import Dataset, Split
from runback.classifier.data.image_cache import Decoding, cached
from runback.classifier.data.reading.array_origin import with_origin
from runback.classifier.data.split import TEST_FRACTION, TEST_SEED, held_out

SOURCE_MAXIMUM = 16
"""Scikit-learn's pixels count the dark ones of a 4 x 4 field: 0..16."""


def load(split: Split, *, cache: Path) -> Dataset:
    """Return 1,437 images to train or 360 to test, uint8 of shape (n, 8, 8, 1), ten classes.

    The test split is fixed: 20 % of the images, stratified, drawn with seed 0 (`held_out`). Source: UCI
    "Optical Recognition of Handwritten Digits" (its test set), as scikit-learn ships it.
    """
    dataset = _cached(split, cache)
    return dataset if split == "test" else with_origin(dataset, _cached("test", cache), "digits")


def _cached(split: Split, cache: Path) -> Dataset:
    key = {"source": "sklearn.datasets.load_digits", "test": [TEST_FRACTION, TEST_SEED]}
    return cached(cache, f"digits-{split}", key, lambda: _decode(split))


def _decode(split: Split) -> Decoding:
    from sklearn.datasets import load_digits  # takes longer to import than a whole cached load

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    train, test = held_out(labels)
    rows = train if split == "train" else test
    images = np.round(digits.images[rows] * (255 / SOURCE_MAXIMUM)).astype(np.uint8)
    return Decoding(iter([images[..., np.newaxis]]), labels[rows], tuple("0123456789"))
