"""Halves an image: by maxima, or by maxima and a blur, by which a move of a pixel changes less."""

from typing import Literal

import keras
from keras import layers, ops

Pooling = Literal["max", "blur"]


def pooling_layer(pooling: Pooling, channels: int, name: str) -> keras.layers.Layer:
    """Return a layer that halves the sides, of at least 2, of (n, height, width, channels), rounded down."""
    return layers.MaxPooling2D(2, name=name) if pooling == "max" else _max_blur(channels, name)


def _max_blur(channels: int, name: str) -> keras.Model:
    """Maxima over 2 by 2 at each pixel, then a 3 by 3 binomial filter at every other; edges are mirrored.

    The filter (1, 2, 1) / 4 is two means of neighbours, one after the other. All parts are Keras' own: the
    network can be loaded where there is no runback.
    Source: R. Zhang, "Making convolutional networks shift-invariant again", ICML 2019, section 3.2.
    """
    images = keras.Input((None, None, channels), dtype=keras.config.dtype_policy().compute_dtype)
    highest = layers.MaxPooling2D(2, strides=1)(images)
    padded = ops.pad(highest, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
    means = layers.AveragePooling2D(2, strides=1)(padded)
    return keras.Model(images, layers.AveragePooling2D(2)(means), name=name)
