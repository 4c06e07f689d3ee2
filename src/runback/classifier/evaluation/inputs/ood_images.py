"""What a network says of images that it was not made for."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

N = 1_000
"""Images of each kind."""


def ood_images(images: np.ndarray) -> dict[str, np.ndarray]:
    """Return kinds of images without anything of the classes, by name, uint8 of the shape of `images`.

    They are drawn with a fixed seed; one kind shuffles the pixels of the images that are given.
    """
    generator = np.random.default_rng(0)
    shape = (N, *images.shape[1:])
    make: Mapping[str, Callable[[], np.ndarray]] = {
        "noise": lambda: generator.integers(0, 256, shape, np.uint8),
        "blank": lambda: _blank(shape, generator),
        "clouds": lambda: _clouds(shape, generator),
        "shuffled pixels": lambda: _shuffled(images[:N], generator),
    }
    return {name: made() for name, made in make.items()}


def _blank(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    colours = generator.integers(0, 256, (shape[0], 1, 1, shape[3]), np.uint8)
    return np.broadcast_to(colours, shape).copy()


def _clouds(shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    side = min(shape[1:3])
    smooth = gaussian_filter(generator.random(shape, np.float32), (0, side / 8, side / 8, 0), mode="wrap")
    smooth -= smooth.min(axis=(1, 2, 3), keepdims=True)
    smooth /= np.maximum(smooth.max(axis=(1, 2, 3), keepdims=True), 1e-6)
    return np.asarray(smooth * 255, np.uint8)


def _shuffled(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    pixels = np.asarray(images).reshape(len(images), -1, images.shape[-1])
    order = generator.permuted(np.tile(np.arange(pixels.shape[1]), (len(pixels), 1)), axis=1)
    return np.take_along_axis(pixels, order[..., None], axis=1).reshape(images.shape)
