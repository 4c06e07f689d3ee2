"""Halves an image: by maxima, or by maxima and a blur, by which a move of a pixel changes less."""

from typing import Any, Literal

import keras
import numpy as np
from keras import layers, ops

Pooling = Literal["max", "blur"]

BINOMIAL = (1.0, 2.0, 1.0)
"""The blur's weights along one side."""


def pooling_layer(pooling: Pooling, name: str) -> keras.layers.Layer:
    """Return a layer that halves the sides, rounded down."""
    return layers.MaxPooling2D(2, name=name) if pooling == "max" else MaxBlurPooling2D(name=name)


@keras.saving.register_keras_serializable(package="runback")
class MaxBlurPooling2D(keras.layers.Layer):
    """Maxima over 2 by 2 at each pixel, then a 3 by 3 binomial filter at every other one; edges are mirrored.

    Takes (n, height, width, channels), sides of at least 2, and returns half of the sides, rounded down.
    Source: R. Zhang, "Making convolutional networks shift-invariant again", ICML 2019, section 3.2.
    """

    def build(self, input_shape: Any) -> None:
        """Make the filter, which is not trained."""
        line = np.array(BINOMIAL) / sum(BINOMIAL)
        self._kernel = np.repeat(np.outer(line, line)[:, :, None, None], input_shape[-1], axis=2)
        super().build(input_shape)

    def call(self, images: Any) -> Any:
        """Return the pooled images."""
        highest = ops.max_pool(images, 2, strides=1, padding="valid", data_format="channels_last")
        padded = ops.pad(highest, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric")
        kernel = ops.cast(self._kernel, images.dtype)
        return ops.depthwise_conv(padded, kernel, strides=2, padding="valid", data_format="channels_last")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of what `call` returns."""
        n, height, width, channels = input_shape
        return n, height and height // 2, width and width // 2, channels
