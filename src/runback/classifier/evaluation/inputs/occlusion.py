"""Maps of the parts that an answer hangs on: parts of an image are covered, one after the other."""

import keras
import numpy as np

COVER = 4
"""A cover's side goes this many times into the image's."""


def occlusion_maps(network: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return how much the probability of a class falls when the image is covered there: (n, height, width).

    `images` are uint8 (n, height, width, channels), `classes` (n,). A grey square, a quarter of the side,
    moves by half of its own; what a pixel gets is the mean over the squares that cover it. Source: M. Zeiler
    and R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, section 4.2.
    """
    n, height, width, _ = images.shape
    tall, wide = max(1, height // COVER), max(1, width // COVER)
    before = _probability(network, images, classes)
    falls, covers = np.zeros((n, height, width)), np.zeros((height, width))
    for top in _starts(height, tall):
        for left in _starts(width, wide):
            part = (slice(top, top + tall), slice(left, left + wide))
            covered = images.copy()
            covered[:, *part] = images.mean(axis=(1, 2), keepdims=True).astype(np.uint8)
            falls[:, *part] += (before - _probability(network, covered, classes))[:, None, None]
            covers[part] += 1
    return np.asarray(falls / covers)


def _starts(side: int, cover: int) -> list[int]:
    step = max(1, cover // 2)
    return sorted({*range(0, side - cover + 1, step), side - cover})


def _probability(network: keras.Model, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
    predicted = np.asarray(network.predict_on_batch(images), np.float64)
    return predicted[np.arange(len(images)), classes] / predicted.sum(axis=1)
