"""Two convolutions and a wide dense layer."""

import keras
from keras import layers

from runback.classifier.models.limits import Rate, Width, require_size
from runback.classifier.models.pooling import Pooling, pooling_layer


def shallow_cnn(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    conv_dropout: Rate = 0.25,
    dense_dropout: Rate = 0.5,
    widths: tuple[Width, Width] = (32, 64),
    dense_width: Width = 512,
    pooling: Pooling = "max",
) -> keras.Model:
    """Conv 32, pool, dropout, conv 64, pool, dropout, dense 512, dropout, softmax.

    Both convolutions are 3x3, padded, with ReLU. Takes images of `input_shape` (height, width, channels)
    with values 0..255, uint8 or float32, and returns float32 class probabilities. `widths` are the filters
    of the first and the second convolution, `pooling` how the image is halved. Raises InputError below 4x4
    pixels.
    """
    require_size("shallow_cnn", input_shape, 4)
    first, second = widths
    return keras.Sequential(
        [
            keras.Input(input_shape, dtype="float32", name="image"),
            layers.Rescaling(1 / 255, dtype="float32", name="rescaling"),
            layers.Conv2D(first, 3, padding="same", activation="relu", name="conv_1"),
            pooling_layer(pooling, first, "pool_1"),
            layers.Dropout(conv_dropout, name="dropout_1"),
            layers.Conv2D(second, 3, padding="same", activation="relu", name="conv_2"),
            pooling_layer(pooling, second, "pool_2"),
            layers.Dropout(conv_dropout, name="dropout_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(dense_width, activation="relu", name="dense"),
            layers.Dropout(dense_dropout, name="dropout_dense"),
            layers.Dense(num_classes, activation="softmax", dtype="float32", name="probabilities"),
        ],
        name="shallow_cnn",
    )
