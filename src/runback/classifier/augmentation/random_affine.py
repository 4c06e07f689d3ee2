"""Rotation, shift, zoom and mirroring of each image by itself, as one matrix and one resampling."""

import math
from typing import Any

import keras
from keras import ops

INTERPOLATIONS = ("nearest", "bilinear")
FILL_MODES = ("constant", "nearest", "wrap", "reflect")


@keras.saving.register_keras_serializable(package="runback")
class RandomAffine(keras.layers.Layer):
    """Rotate, shift, zoom and mirror, drawn for each image by itself, in this order.

    Draws as keras.layers.RandomRotation, RandomTranslation, RandomZoom and RandomFlip do, one behind the
    other with the same factors, and takes pixels from where these take them: their matrices are multiplied.
    It resamples once instead of three times, so images stay sharper, and edges are repeated once.

    A factor is a number f, for -f to f, or the least and the greatest. `rotation` is in turns (0.1 is 36
    degrees), to the left where it is positive; `height_shift` and `width_shift` are in shares of the image,
    down and to the right where positive; `height_zoom` and `width_zoom` are what the part of the image that
    is seen grows by, in shares of it: negative ones enlarge. Without a `width_zoom` it is the height's.
    Each flip is done to half of the images. Takes and returns a batch (n, height, width, channels). Does
    nothing unless training.
    """

    def __init__(
        self,
        rotation: Any = 0.0,
        height_shift: Any = 0.0,
        width_shift: Any = 0.0,
        height_zoom: Any = 0.0,
        width_zoom: Any = None,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        fill_mode: str = "nearest",
        fill_value: float = 0.0,
        interpolation: str = "bilinear",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rotation = _interval(rotation, "rotation", -1)
        self.height_shift = _interval(height_shift, "height_shift", -1)
        self.width_shift = _interval(width_shift, "width_shift", -1)
        self.height_zoom = _interval(height_zoom, "height_zoom", -0.99)
        self.width_zoom = None if width_zoom is None else _interval(width_zoom, "width_zoom", -0.99)
        self.horizontal_flip = _one_of(horizontal_flip, (False, True), "horizontal_flip")
        self.vertical_flip = _one_of(vertical_flip, (False, True), "vertical_flip")
        self.fill_mode = _one_of(fill_mode, FILL_MODES, "fill_mode")
        self.interpolation = _one_of(interpolation, INTERPOLATIONS, "interpolation")
        self.fill_value = float(fill_value)
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images: Any, training: bool = False) -> Any:
        """Return the images, changed where `training` is true."""
        if not training:
            return images
        n, height, width, _ = ops.shape(images)
        return ops.image.affine_transform(
            images,
            _matrices(self.draw(n), height, width),
            interpolation=self.interpolation,
            fill_mode=self.fill_mode,
            fill_value=self.fill_value,
            data_format="channels_last",
        )

    def draw(self, n: Any) -> dict[str, Any]:
        """Draw the changes of `n` images; each is float32 of shape (n,).

        `angle` is in radians, `down` and `right` in shares of the image; `tall` and `wide` are the sides of
        what is seen of it, in shares of its own, negative where it is mirrored.
        """
        shares = ops.unstack(keras.random.uniform((7, n), dtype="float32", seed=self.generator), 7)
        angle, down, right, taller, wider = (
            lower + (upper - lower) * share
            for (lower, upper), share in zip(self._intervals, shares, strict=False)
        )
        tall, wide = 1 + taller, 1 + (taller if self.width_zoom is None else wider)
        return {
            "angle": 2 * math.pi * angle,
            "down": down,
            "right": right,
            "tall": ops.where(shares[5] < 0.5, -tall, tall) if self.vertical_flip else tall,
            "wide": ops.where(shares[6] < 0.5, -wide, wide) if self.horizontal_flip else wide,
        }

    @property
    def _intervals(self) -> list[tuple[float, float]]:
        zooms = (self.height_zoom, self.width_zoom or self.height_zoom)
        return [self.rotation, self.height_shift, self.width_shift, *zooms]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what the constructor needs to build this layer again."""
        factors = ("rotation", "height_shift", "width_shift", "height_zoom", "width_zoom")
        flips = ("horizontal_flip", "vertical_flip")
        names = (*factors, *flips, "fill_mode", "fill_value", "interpolation", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _matrices(drawn: dict[str, Any], height: Any, width: Any) -> Any:
    """Return the matrix of each image, (n, 8): the first eight numbers of 3 x 3 ones, row by row.

    It leads from a pixel of the result to one of the image. With the centre c = ((width - 1) / 2,
    (height - 1) / 2), R the rotation, Z the zoom with its mirroring and d the shift, that is
    p -> c + R (Z (p - c) - d): R T Z F of the single steps.
    """
    cosine, sine = ops.cos(drawn["angle"]), ops.sin(drawn["angle"])
    height, width = ops.cast(height, "float32"), ops.cast(width, "float32")
    x, y = (width - 1) / 2, (height - 1) / 2
    right, down = drawn["right"] * width, drawn["down"] * height
    a0, a1 = cosine * drawn["wide"], -sine * drawn["tall"]
    b0, b1 = sine * drawn["wide"], cosine * drawn["tall"]
    a2 = x - a0 * x - a1 * y - cosine * right + sine * down
    b2 = y - b0 * x - b1 * y - sine * right - cosine * down
    zero = ops.zeros_like(a0)
    return ops.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)


def _interval(value: Any, name: str, least: float) -> tuple[float, float]:
    sides = list(value) if isinstance(value, (list, tuple)) else [value]
    are_numbers = all(isinstance(side, (int, float)) and not isinstance(side, bool) for side in sides)
    if are_numbers and not isinstance(value, (list, tuple)):
        sides = [-abs(value), abs(value)]
    if not are_numbers or len(sides) != 2 or sides[0] > sides[1]:
        raise ValueError(f"{name}: expected a number, or the least and the greatest; got {value!r}")
    if not (least <= sides[0] and sides[1] <= 1):
        raise ValueError(f"{name} must lie in [{least:g}, 1]; got {value!r}")
    return float(sides[0]), float(sides[1])


def _one_of(value: Any, choices: tuple[Any, ...], name: str) -> Any:
    if value not in choices or isinstance(value, bool) != isinstance(choices[0], bool):
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}")
    return value
