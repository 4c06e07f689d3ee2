"""Batches for training, in an order that depends on (seed, pass) alone, and for validation, in order.

The images stay uint8. A small set is a tensor in the host's memory, which TensorFlow gathers batches from.
Of a larger one each batch is read when it is its turn, from the file that holds it (or the array, if it is in
memory already), so that a training's own memory does not grow with its data: a set may be larger than memory.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.reading.stored_images import StoredImages, unmapped
from runback.classifier.training.criterion import PLAIN, Criterion
from runback.errors import DataError

AHEAD = 2
"""Batches made while the network trains on the one before."""

SMALL = 32 * 2**20
"""Bytes of images that are copied into memory: gathering there costs less than a call of Python a batch."""

VALIDATION_BATCH = 256
"""Images a batch of validation holds at least: it needs no gradients, so more fit than in training."""


def validation_batch(batch_size: int) -> int:
    """Return how many images a batch of validation holds, where one of training holds `batch_size`."""
    return max(batch_size, VALIDATION_BATCH)


def steps_per_pass(n: int, batch_size: int) -> int:
    """Return the number of batches that `n` images make; the last one may be smaller."""
    return math.ceil(n / batch_size)


def images_before(step: int, n: int, batch_size: int) -> int:
    """Return how many of `n` images, pass after pass, the batches before `step` hold."""
    passes, steps = divmod(step, steps_per_pass(n, batch_size))
    return passes * n + steps * batch_size


@tf.autograph.experimental.do_not_convert  # nothing to convert, and looking for it takes 0.1 s
def training_batches(
    dataset: Dataset,
    batch_size: int,
    *,
    seed: int,
    steps: int,
    initial_step: int = 0,
    criterion: Criterion = PLAIN,
    parts: int = 1,
) -> tf.data.Dataset:
    """Return the batches (images, labels) from `initial_step` to `steps`, counted over the whole training.

    Labels are as `criterion` wants them, followed by the images' weights if it has any. Each batch comes in
    so many parts, one behind the other, whose sizes differ by one at most.

    Each pass, of `steps_per_pass` batches, holds every image once, in the order `pass_order` gives. Starting
    at a later step gives exactly the later batches of the whole.
    """
    n = len(dataset)
    in_pass = steps_per_pass(n, batch_size)
    images, labels = _images(dataset.images), _on_host(dataset.labels)

    def of_pass(number: Any) -> tf.data.Dataset:
        order = pass_order(n, seed, number)
        return tf.data.Dataset.range(in_pass).map(lambda i: order[i * batch_size : (i + 1) * batch_size])

    def gather(indices: Any) -> tuple[Any, ...]:
        targets = criterion.training_targets(tf.gather(labels, indices), len(dataset.class_names))
        return images(indices), *targets

    first, done = divmod(initial_step, in_pass)
    passes = tf.data.Dataset.range(first, math.ceil(steps / in_pass))
    indices = _cut(passes.flat_map(of_pass).skip(done).take(steps - initial_step), parts)
    return indices.map(gather).prefetch(AHEAD).with_options(_as_written())


@tf.autograph.experimental.do_not_convert
def validation_batches(
    dataset: Dataset, batch_size: int, *, criterion: Criterion = PLAIN, parts: int = 1
) -> tf.data.Dataset:
    """Return the batches (images, labels) of one pass through `dataset`, in its own order.

    Labels are as `criterion` wants them. Each batch comes in so many parts, as in training; the last one is
    as large as the others then, but for one image, so that no part is empty.
    """
    steps = steps_per_pass(len(dataset), batch_size)
    n, images, labels = len(dataset), _images(dataset.images), _on_host(dataset.labels)

    def of_step(i: Any) -> Any:
        if parts == 1:
            return tf.range(i * batch_size, tf.minimum((i + 1) * batch_size, n))
        return tf.range(i * n // steps, (i + 1) * n // steps)

    def gather(part: Any) -> tuple[Any, Any]:
        targets = criterion.validation_targets(tf.gather(labels, part), len(dataset.class_names))
        return images(part), targets

    indices = _cut(tf.data.Dataset.range(steps).map(of_step), parts)
    return indices.map(gather).prefetch(AHEAD).with_options(_as_written())


def _cut(batches: tf.data.Dataset, parts: int) -> tf.data.Dataset:
    """Cut each batch of positions into parts."""
    if parts == 1:
        return batches

    def of_batch(batch: Any) -> tf.data.Dataset:
        n = tf.size(batch, tf.int64)
        return tf.data.Dataset.range(parts).map(lambda i: batch[i * n // parts : (i + 1) * n // parts])

    return batches.flat_map(of_batch)


_unread: list[DataError] = []


@contextlib.contextmanager
def naming_unread_images() -> Iterator[None]:
    """Raise the DataError of images that could not be read: TensorFlow hides it in an error of its own."""
    _unread.clear()
    try:
        yield
    except tf.errors.OpError as error:
        if not _unread:
            raise
        raise _unread[0] from error


def _as_written() -> tf.data.Options:
    """Leave the pipeline as it is: rewriting one this short takes longer than it can save."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return options


def pass_order(n: int, seed: int, number: Any) -> Any:
    """Return a permutation of 0..n-1 as an int32 tensor: always the same one for the same (seed, number)."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(number, tf.int64)])
    return tf.argsort(tf.random.stateless_uniform([n], key, dtype=tf.float64, alg="philox"), stable=True)


def _images(images: np.ndarray | StoredImages) -> Callable[[Any], Any]:
    """Return what gives the images at a tensor of positions, inside TensorFlow."""
    if images.nbytes <= SMALL:
        small = _on_host(np.asarray(images))
        return lambda indices: tf.gather(small, indices)
    stored = unmapped(images)

    def at(rows: np.ndarray) -> np.ndarray:
        try:
            return stored[rows]
        except DataError as error:
            _unread.append(error)
            raise

    def read(indices: Any) -> Any:
        # Not stateful: it has no state, and TensorFlow makes nothing ahead behind an operation that has.
        batch = tf.numpy_function(at, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(batch, (None, *images.shape[1:]))

    return read


def _on_host(array: np.ndarray) -> Any:
    with tf.device("CPU"):  # on a GPU the whole set would fill the card and every batch travel twice
        return tf.convert_to_tensor(array)
