"""The fifteen corruptions by name, and their parameters at five severities."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from runback.classifier.evaluation.shifts import image_corruptions as corruptions

SEVERITIES: Final = (1, 2, 3, 4, 5)

BLOCK_BYTES = 500 * 32 * 32 * 3
"""Bytes of the images that share a generator: 500 images of CIFAR-10."""


@dataclass(frozen=True)
class Corruption:
    """A corruption: its name, its kind, what it does, and its parameter at each severity."""

    name: str
    kind: str
    apply: Callable[[np.ndarray, Any, np.random.Generator], np.ndarray]
    parameters: tuple[Any, Any, Any, Any, Any]


CORRUPTIONS: Final = (
    Corruption("gaussian_noise", "noise", corruptions.gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    Corruption("shot_noise", "noise", corruptions.shot_noise, (500, 250, 100, 75, 50)),
    Corruption("impulse_noise", "noise", corruptions.impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    Corruption(
        "defocus_blur",
        "blur",
        corruptions.defocus_blur,
        ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    ),
    Corruption(
        "glass_blur", "blur", corruptions.glass_blur, ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
    ),
    Corruption("motion_blur", "blur", corruptions.motion_blur, ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))),
    Corruption("zoom_blur", "blur", corruptions.zoom_blur, (1.06, 1.11, 1.15, 1.20, 1.25)),
    Corruption(
        "snow",
        "weather",
        corruptions.snow,
        (
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ),
    ),
    Corruption(
        "frost",
        "weather",
        corruptions.frost,
        ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
    ),
    Corruption("fog", "weather", corruptions.fog, ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))),
    Corruption("brightness", "weather", corruptions.brightness, (0.05, 0.1, 0.15, 0.2, 0.3)),
    Corruption("contrast", "digital", corruptions.contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    Corruption(
        "elastic_transform",
        "digital",
        corruptions.elastic_transform,
        ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)),
    ),
    Corruption("pixelate", "digital", corruptions.pixelate, (0.95, 0.9, 0.85, 0.75, 0.65)),
    Corruption("jpeg_compression", "digital", corruptions.jpeg_compression, (80, 65, 58, 50, 40)),
)


def block_length(image_shape: Sequence[int]) -> int:
    """Return how many images of this shape (height, width, channels) share a generator: at most 500."""
    return max(1, min(500, BLOCK_BYTES // math.prod(image_shape)))


def corrupted(images: np.ndarray, corruption: Corruption, severity: int, *, block: int = 0) -> np.ndarray:
    """Return uint8 images of shape (n, height, width, channels) as a corruption makes them.

    Random draws depend on the corruption and on `block` alone: the number of the block, of `block_length`
    images, that these are. Severities are thus compared on the same angles, panes and moves.
    """
    generator = np.random.default_rng([CORRUPTIONS.index(corruption), block])
    values = np.divide(images, 255, dtype=np.float32)
    made = corruption.apply(values, corruption.parameters[severity - 1], generator)
    np.clip(made, 0, 1, out=made)  # in place: new memory costs more than the arithmetic
    np.multiply(made, 255, out=made)
    return made.astype(np.uint8)
