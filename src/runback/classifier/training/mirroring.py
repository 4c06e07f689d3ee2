"""Trains on all GPUs of this machine: each holds the whole network, and takes its part of every batch.

The GPUs are those that this process sees, in TensorFlow's order. `training.batch_size` is the whole batch's:
each GPU takes an equal part of it, the gradient is the mean of theirs, and all make the same step. Where the
last batch of a pass cannot be divided evenly, parts differ by one image and weigh alike. Batch normalisation
goes by each GPU's part, as everywhere in Keras.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from runback.classifier.train_config import MIRRORED, TrainingConfig
from runback.errors import InputError
from runback.keras.keras_internals import copies

SPREAD = 2_654_435_761
"""Lies between the seeds of two GPUs' copies of a layer: 2**32 over the golden ratio, as in Knuth's hash."""


def local_devices() -> list[str]:
    """Return the GPUs that this process sees."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def strategy_of(options: TrainingConfig, n_train: int, n_validation: int) -> tf.distribute.Strategy:
    """Return how a training on so many images is distributed, TensorFlow's default for one device.

    Errors: InputError where there is nothing to divide a batch among, or batches cannot be divided.
    """
    if options.distribution != MIRRORED:
        return tf.distribute.get_strategy()
    devices = local_devices()
    key = f"training.distribution={MIRRORED}"
    if len(devices) < 2:
        there = "there is none" if not devices else "there is one"
        raise InputError(f"{key} needs two GPUs or more; {there} here: use training.distribution=null")
    if options.batch_size % len(devices):
        raise InputError(
            f"training.batch_size is divided among {len(devices)} GPUs with {key}: it must be a multiple of "
            f"{len(devices)}; got {options.batch_size}"
        )
    last = n_train % options.batch_size
    is_short = 0 < last < len(devices)
    if is_short or n_validation < len(devices):
        what = (
            f"the last batch of a pass has {last}" if is_short else f"the validation split has {n_validation}"
        )
        raise InputError(
            f"{key}: {what} of the images, too few for {len(devices)} GPUs: change training.batch_size or "
            "data.limit"
        )
    # It adds up in the same order each time, which nothing promises of the faster ones.
    return tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())


def n_devices(model: keras.Model) -> int:
    """Return the number of devices that a model trains on."""
    return int(model.distribute_strategy.num_replicas_in_sync)


def divided(model: keras.Model, batches: tf.data.Dataset) -> Any:
    """Return batches that have been cut into `n_devices(model)` parts, one behind the other, for `fit`."""
    if n_devices(model) == 1:
        return batches
    return model.distribute_strategy.distribute_datasets_from_function(lambda _: batches)


def spread_seeds(model: keras.Model) -> None:
    """Let each device draw other random numbers: its copies of the states begin elsewhere.

    They are functions of the first device's, which is what checkpoints hold.
    """
    if n_devices(model) == 1:
        return
    for variable in model.variables:
        if variable.path.endswith("seed_generator_state"):
            first, *others = copies(variable)
            seed, drawn = first.numpy().tolist()
            for number, copy in enumerate(others, 1):
                copy.assign(np.array([(seed + number * SPREAD) % 2**31, drawn]))
