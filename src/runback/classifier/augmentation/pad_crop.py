"""Zero-pad and crop back at a random place, each image by itself: the usual CIFAR augmentation."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="runback")
class PadCrop(keras.layers.Layer):
    """Pad `pad` black pixels on each side and crop the original size at a random place.

    The place is drawn per image, uniformly from (2 * pad + 1)**2 (keras.layers.RandomCrop draws one for the
    whole batch). Takes and returns a batch (n, height, width, channels). Does nothing unless training. From
    He et al., "Deep Residual Learning" (2015), section 4.2, with a pad of 4.
    """

    def __init__(self, pad: int = 4, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(pad, bool) or not isinstance(pad, int) or pad < 0:
            raise ValueError(f"pad must be a whole number of pixels, 0 or more; got {pad!r}")
        self.pad = pad
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Return the images, shifted by whole pixels where `training` is true."""
        if not training or self.pad == 0:
            return images
        shape = (ops.shape(images)[0], 2)
        shift = ops.cast(
            keras.random.randint(shape, -self.pad, self.pad + 1, seed=self.generator), images.dtype
        )
        one, zero = ops.ones_like(shift[:, 0]), ops.zeros_like(shift[:, 0])
        # Padding and cropping is a shift with black coming in; as one affine operation it needs no copy
        # of the padded batch. The eight numbers are the first eight of a 3x3 matrix, row by row.
        transforms = ops.stack([one, zero, shift[:, 0], zero, one, shift[:, 1], zero, zero], axis=1)
        return ops.image.affine_transform(
            images, transforms, interpolation="nearest", fill_mode="constant", fill_value=0
        )

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs to build this layer again."""
        return {**super().get_config(), "pad": self.pad, "seed": self.seed}
