"""A network's answers to images that were changed, without keeping these."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from runback.classifier.data.reading.stored_images import StoredImages
from runback.classifier.evaluation.shifts.corruption_table import BLOCK

Change = Callable[[np.ndarray, int], np.ndarray]
"""Returns what becomes of the uint8 images of a block, by its number."""


def variant_answers(
    network: keras.Model, images: np.ndarray | StoredImages, changes: Iterator[Change]
) -> Iterator[np.ndarray]:
    """Yield for each change the likeliest class of each changed image, int64 of shape (n,).

    Images are changed in a thread of their own, a few blocks ahead of the network.
    """
    firsts = range(0, len(images), BLOCK)
    blocks = [np.asarray(images[first : first + BLOCK]) for first in firsts]
    with ThreadPoolExecutor(1) as changing:
        ahead = None
        for change in changes:
            made = [changing.submit(change, block, number) for number, block in enumerate(blocks)]
            if ahead is not None:
                yield _answered(network, ahead)
            ahead = made
        if ahead is not None:
            yield _answered(network, ahead)


def _answered(network: keras.Model, made: list) -> np.ndarray:
    return np.concatenate([np.asarray(network.predict_on_batch(one.result())).argmax(axis=1) for one in made])
