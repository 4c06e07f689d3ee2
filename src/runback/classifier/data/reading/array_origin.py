"""The origin of images that come as arrays, from sources with a fixed form: their rows are their names."""

import hashlib
from dataclasses import replace
from itertools import chain

import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading.reading_report import Origin, SourceReport
from runback.classifier.data.reading.stored_images import StoredImages, blocks


def with_origin(train: Dataset, test: Dataset, source: str) -> Dataset:
    """Return the training split with its origin, so that its summary counts the test split and duplicates.

    `source` names the source for a person. Rows count from 0.
    """
    report = SourceReport(
        source=source,
        smallest=None,
        largest=None,
        left_out={},
        converted={},
        resized={},
        broken=(),
        notes=(),
        test_counts=np.bincount(test.labels, minlength=len(test.class_names)).tolist(),
        test_labels=test.labels.tolist(),
        test_digests=_digests(test.images),
        test_names=[f"test image {row}" for row in range(len(test))],
    )
    names = np.array([f"training image {row}" for row in range(len(train))], object)
    digests = _digests(train.images)
    return replace(train, origin=Origin(names, np.fromiter(digests, object, len(digests)), report))


def _digests(images: np.ndarray | StoredImages) -> list[bytes]:
    every = chain.from_iterable(blocks(images))
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in every]
