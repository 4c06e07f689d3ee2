"""Images that are in the test split and, almost the same, in the training split too."""

from dataclasses import dataclass

import numpy as np

from runback.classifier.data.reading.stored_images import StoredImages, blocks

SMALL = 8
"""The side that images are reduced to before they are compared."""

LIKENESS = 0.98
"""The correlation of two images from which on they count as near-duplicates, at both sizes."""

BLOCK = 1_000
"""Training images that are compared at a time."""


@dataclass(frozen=True)
class NearDuplicate:
    """A test image and the training image that is most like it."""

    image: int
    training_image: int
    likeness: float
    """The correlation of their pixels."""


def near_duplicates(
    images: np.ndarray | StoredImages, training: np.ndarray | StoredImages
) -> list[NearDuplicate]:
    """Return the test images that one to train on is almost the same as, the most alike first.

    Images are uint8 of shape (n, height, width, channels), of one size. Compared are the pixels'
    correlations: of all pairs reduced to 8 by 8, then of each image's best at full size. It finds copies
    that were stored anew, cut a little or brightened, not mirrored ones.
    """
    reduced = [np.concatenate([*map(_reduced, blocks(one))]) for one in (images, training)]
    best = np.full(len(images), -np.inf, np.float32)
    partner = np.zeros(len(images), np.intp)
    for first in range(0, len(reduced[1]), BLOCK):
        likeness = reduced[0] @ reduced[1][first : first + BLOCK].T
        place = likeness.argmax(axis=1)
        higher = likeness[np.arange(len(place)), place]
        better = higher > best
        best[better], partner[better] = higher[better], place[better] + first
    close = np.flatnonzero(best >= LIKENESS)
    if not len(close):
        return []
    own, other = (
        _standardized(np.asarray(one[rows])) for one, rows in ((images, close), (training, partner[close]))
    )
    likeness = (own * other).sum(axis=1)
    order = np.argsort(-likeness, kind="stable")
    return [
        NearDuplicate(int(close[row]), int(partner[close[row]]), float(min(1.0, likeness[row])))
        for row in order.tolist()
        if likeness[row] >= LIKENESS
    ]


def _reduced(images: np.ndarray) -> np.ndarray:
    """Return images as vectors of means over 8 by 8 boxes, standardized."""
    rows, columns = (np.linspace(0, side, min(side, SMALL) + 1).astype(int) for side in images.shape[1:3])
    sums = np.add.reduceat(images.astype(np.float32), rows[:-1], axis=1)
    sums = np.add.reduceat(sums, columns[:-1], axis=2)
    return _standardized(sums / np.outer(np.diff(rows), np.diff(columns))[:, :, None])


def _standardized(images: np.ndarray) -> np.ndarray:
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    lengths = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    return np.asarray(flat / np.maximum(lengths, 1e-6))
