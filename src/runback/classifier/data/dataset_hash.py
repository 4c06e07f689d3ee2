"""A fingerprint of everything in a dataset: one changed pixel or label changes it."""

import hashlib
import json

import numpy as np

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading.stored_images import blocks

CHUNK_BYTES = 16 * 2**20


def content_hash(dataset: Dataset) -> str:
    """Return the SHA-256, in hexadecimal, of all images, labels and class names.

    The bytes hashed, in this order:

    1. one line of JSON with sorted keys and no spaces, in UTF-8, ended by a newline:
       `class_names` (list), `dtype` (of the images), `format` ("runback-dataset-1"), `shape` (of the images);
    2. the images in C order (image, row, column, channel), one byte each;
    3. the labels as little-endian 64-bit integers.

    Every byte counts (a sample would miss most images), read in blocks so that images in a file stay there.
    """
    header = {
        "format": "runback-dataset-1",
        "shape": dataset.images.shape,
        "dtype": str(dataset.images.dtype),
        "class_names": dataset.class_names,
    }
    digest = hashlib.sha256()
    digest.update(
        json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    )
    for block in blocks(dataset.images, CHUNK_BYTES):
        digest.update(np.ascontiguousarray(block).data)
    digest.update(np.ascontiguousarray(dataset.labels, dtype="<i8").data)
    return digest.hexdigest()
