"""Random fields that weather and glass are made of."""

import numpy as np

from runback.classifier.evaluation.shifts.pixel_operators import gaussian_matrix

FROST_SIDE = 8
"""The side of a frosted pane, in sides of the images that are cut out of it."""


def plasma(n: int, side: int, decay: float, generator: np.random.Generator) -> np.ndarray:
    """Return `n` fractal clouds in [0, 1], float32 of shape (n, side, side), by the diamond-square algorithm.

    From one scale to the next, which is half as large, the noise becomes `decay` squared times smaller: so
    does the code of CIFAR-10-C. Source: A. Fournier, D. Fussell, L. Carpenter, "Computer rendering of
    stochastic models", Communications of the ACM 25 (1982), 371-384; here on a torus.
    """
    size = 1 << max(1, (side - 1).bit_length())
    field = np.zeros((n, size, size), np.float32)
    step, spread = size, 1.0
    while step >= 2:
        half = step // 2
        corners = field[:, ::step, ::step]
        sums = corners + np.roll(corners, -1, axis=1)
        middles = (sums + np.roll(sums, -1, axis=2)) / 4
        middles += _noise(middles.shape, spread, generator)
        field[:, half::step, half::step] = middles
        level = corners + np.roll(corners, -1, axis=2) + middles + np.roll(middles, 1, axis=1)
        upright = corners + np.roll(corners, -1, axis=1) + middles + np.roll(middles, 1, axis=2)
        field[:, ::step, half::step] = level / 4 + _noise(level.shape, spread, generator)
        field[:, half::step, ::step] = upright / 4 + _noise(upright.shape, spread, generator)
        step, spread = half, spread / decay**2
    field -= field.min(axis=(1, 2), keepdims=True)
    field /= field.max(axis=(1, 2), keepdims=True)
    return field[:, :side, :side]


def smooth_noise(n: int, height: int, width: int, sigma: float, generator: np.random.Generator) -> np.ndarray:
    """Return `n` fields (n, height, width) of uniform noise in (-1, 1) behind a Gaussian filter."""
    noise = generator.random((n, height, width), np.float32) * 2 - 1
    if sigma <= 0:
        return noise
    made = gaussian_matrix(sigma, height) @ noise @ gaussian_matrix(sigma, width).T
    return np.asarray(made, np.float32)


def frosted_pane(side: int, generator: np.random.Generator) -> np.ndarray:
    """Return a frosted pane in [0, 1], float32 of shape (s, s, 3) with s `FROST_SIDE` times `side`.

    The ridges of three clouds stand for crystals; frost is a little blue.
    """
    size = FROST_SIDE * side
    clouds = plasma(3, size, 1.4, generator)
    ridges = (1 - np.abs(2 * clouds - 1)) ** 3
    level = 0.25 + 0.75 * ridges.max(axis=0)
    tint = np.array([0.88, 0.95, 1.0], np.float32)
    return np.asarray(np.clip(level[..., None] * tint, 0, 1), np.float32)


def _noise(shape: tuple[int, ...], spread: float, generator: np.random.Generator) -> np.ndarray:
    return np.asarray((generator.random(shape, np.float32) * 2 - 1) * np.float32(spread))
