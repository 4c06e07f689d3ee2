"""The residual network for CIFAR of He et al., "Deep Residual Learning" (2015), section 4.2, version 1."""

from typing import Annotated, Any

import keras
from keras import layers
from pydantic import Field

from runback.classifier.models.limits import Width, require_size


def resnet20(
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: Width = 16,
    blocks: Annotated[int, Field(ge=1, le=200)] = 3,
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4,
) -> keras.Model:
    """A 3x3 convolution, three stages of residual blocks at widths 16, 32 and 64, average pool, softmax.

    `width` is the first stage's filters; each later stage doubles them and halves the image. `blocks` are
    the blocks of a stage: 3 make the 20 weighted layers of the name, n make 6n + 2. `weight_decay` is the
    L2 penalty on the kernels and counts in the loss. Where a stage changes the shape, the shortcut is a
    strided 1x1 convolution (the paper's option B; its CIFAR nets pad with zeros, option A): 272,474 trainable
    parameters on 32x32x3 with 10 classes, the paper states 0.27 million.

    Takes images of `input_shape` (height, width, channels) with values 0..255, uint8 or float32, and returns
    float32 class probabilities. Raises InputError below 4x4 pixels.
    """
    require_size("resnet20", input_shape, 4)
    image = keras.Input(input_shape, dtype="float32", name="image")
    x = layers.Rescaling(1 / 255, dtype="float32", name="rescaling")(image)
    x = layers.ReLU(name="stem_relu")(_convolve(x, "stem", width, 3, 1, weight_decay))
    for stage in range(3):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = _residual(x, f"stage{stage + 1}_block{block + 1}", width * 2**stage, stride, weight_decay)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    probabilities = layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(weight_decay),
        dtype="float32",
        name="probabilities",
    )(x)
    return keras.Model(image, probabilities, name="resnet20")


def _residual(x: Any, name: str, width: int, stride: int, weight_decay: float) -> Any:
    shortcut = x if stride == 1 else _convolve(x, f"{name}_shortcut", width, 1, stride, weight_decay)
    y = _convolve(x, f"{name}_a", width, 3, stride, weight_decay)
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = _convolve(y, f"{name}_b", width, 3, 1, weight_decay)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([shortcut, y]))


def _convolve(x: Any, name: str, width: int, size: int, stride: int, weight_decay: float) -> Any:
    x = layers.Conv2D(
        width,
        size,
        strides=stride,
        padding="same",
        use_bias=False,  # batch normalisation has its own
        kernel_initializer="he_normal",
        kernel_regularizer=keras.regularizers.L2(weight_decay),
        name=name,
    )(x)
    return layers.BatchNormalization(name=f"{name}_norm")(x)
