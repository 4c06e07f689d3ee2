"""Asks a network about changed images, without keeping these."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import keras
import numpy as np

from runback.classifier.data.reading.stored_images import StoredImages
from runback.classifier.evaluation.shifts.corruption_table import block_length

AHEAD = 3
"""Blocks that are changed before the network has come to them."""

Change = Callable[[np.ndarray, int], np.ndarray]
"""Returns what becomes of the uint8 images of a block, by its number."""


def variant_answers(
    network: keras.Model, images: np.ndarray | StoredImages, changes: Iterator[Change]
) -> Iterator[np.ndarray]:
    """Yield for each change the likeliest class of each changed image, int64 of shape (n,).

    Images are changed in a thread of their own, a few blocks ahead of the network; a block has `block_length`
    images.
    """
    length = block_length(images.shape[1:])

    def make(change: Change, number: int) -> np.ndarray:
        first = number * length
        return change(np.asarray(images[first : first + length]), number)

    blocks = range(-(-len(images) // length))
    with ThreadPoolExecutor(1) as changing:
        ahead: deque[Future[np.ndarray]] = deque()
        work = ((change, number) for change in changes for number in blocks)
        answered: list[np.ndarray] = []
        while True:
            ahead.extend(changing.submit(make, *one) for one in islice(work, AHEAD - len(ahead)))
            if not ahead:
                return
            answered.append(np.asarray(network.predict_on_batch(ahead.popleft().result())).argmax(axis=1))
            if len(answered) == len(blocks):
                yield np.concatenate(answered)
                answered = []
