"""Linear operators on the pixels of an image: each pixel becomes a weighted sum of pixels.

An operator is a sparse matrix; rows and columns are pixels, line by line from the top left.
"""

import functools
import math
from typing import Literal

import numpy as np
from scipy import sparse

RECENT = 2
"""Operators of a kind that are kept: one is used for all blocks of images, then the next one."""


def apply_to_pixels(operator: sparse.csr_array, images: np.ndarray) -> np.ndarray:
    """Return images of shape (n, height, width, channels), float32, after an operator on their pixels."""
    n, height, width, channels = images.shape
    columns = images.reshape(n, height * width, channels).swapaxes(0, 1).reshape(height * width, -1)
    made = operator @ columns
    return np.ascontiguousarray(made.reshape(-1, n, channels).swapaxes(0, 1)).reshape(images.shape)


def filter_operator(kernel: np.ndarray, height: int, width: int) -> sparse.csr_array:
    """Return the correlation with a kernel of odd sides; edges are mirrored about their pixels."""
    up, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    rows, columns = _mirrored(height, up), _mirrored(width, left)
    total = sparse.csr_array((height * width, height * width), dtype=np.float32)
    for down, right in np.argwhere(kernel > kernel.max() * 1e-4):
        taken = rows[down : down + height, None] * width + columns[right : right + width]
        total = total + float(kernel[down, right]) * _taking(taken.reshape(-1), height * width)
    return _normalized(total)


@functools.lru_cache(maxsize=RECENT)
def gaussian_operator(sigma: float, height: int, width: int) -> sparse.csr_array:
    """Return the Gaussian filter with `sigma` pixels, cut at 4 sigma; edges are repeated."""
    lines = (_gaussian_line(sigma, side, cut=4, mode="edge") for side in (height, width))
    return sparse.csr_array(sparse.kron(*lines))


def gaussian_matrix(sigma: float, side: int) -> np.ndarray:
    """Return the Gaussian filter of a line, float32 of shape (side, side), cut at 3 sigma; edges mirrored."""
    return np.asarray(_gaussian_line(sigma, side, cut=3, mode="symmetric").todense(), np.float32)


def zoom_operator(factor: float, height: int, width: int) -> sparse.csr_array:
    """Return the enlargement of the middle by `factor`, at least 1, with bilinear interpolation."""
    return sparse.csr_array(sparse.kron(_zoom_line(factor, height), _zoom_line(factor, width)))


@functools.lru_cache(maxsize=RECENT)
def box_operator(share: float, height: int, width: int) -> sparse.csr_array:
    """Return the reduction to `share` of the sides, and back, by means over boxes."""
    lines = []
    for side in (height, width):
        small = max(1, int(side * share))
        lines.append(_box_line(side, small) @ _box_line(small, side))
    return sparse.csr_array(sparse.kron(*lines))


def _gaussian_line(
    sigma: float, side: int, *, cut: int, mode: Literal["edge", "symmetric"]
) -> sparse.csr_array:
    reach = max(1, int(cut * sigma + 0.5))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    places = np.pad(np.arange(side), reach, mode=mode)
    total = sum(
        weight * _taking(places[first : first + side], side) for first, weight in enumerate(weights.tolist())
    )
    return _normalized(total)


def _zoom_line(factor: float, side: int) -> sparse.csr_array:
    """Return one axis of `zoom_operator`: the middle is cut out, enlarged, and cut to the old side."""
    seen = math.ceil(side / factor)
    first, enlarged = (side - seen) // 2, round(seen * factor)
    places = np.arange(enlarged) * ((seen - 1) / max(1, enlarged - 1))
    cut = (enlarged - side) // 2
    return _interpolating(first + places[cut : cut + side], side)


def _interpolating(places: np.ndarray, side: int) -> sparse.csr_array:
    """Return what interpolates a line of `side` pixels at these places, counted in pixels from the first."""
    below = np.clip(np.floor(places).astype(int), 0, max(0, side - 2))
    share = places - below
    above = np.minimum(below + 1, side - 1)
    return sparse.csr_array(
        sparse.diags_array(1 - share) @ _taking(below, side)
        + sparse.diags_array(share) @ _taking(above, side)
    ).astype(np.float32)


def _box_line(made: int, side: int) -> sparse.csr_array:
    """Return what makes `made` pixels of `side`, as Pillow's BOX does."""
    scale = side / made
    support = max(1.0, scale) / 2
    middles = (np.arange(made) + 0.5) * scale
    first = np.maximum(0, np.floor(middles - support + 0.5)).astype(int)
    last = np.minimum(side, np.floor(middles + support + 0.5)).astype(int)
    distance = (np.arange(side) + 0.5 - middles[:, None]) / max(1.0, scale)
    taken = (distance > -0.5) & (distance <= 0.5)
    taken &= (np.arange(side) >= first[:, None]) & (np.arange(side) < last[:, None])
    return _normalized(sparse.csr_array(taken.astype(np.float32)))


def _mirrored(side: int, reach: int) -> np.ndarray:
    return np.pad(np.arange(side), reach, mode="reflect" if side > 1 else "edge")


def _taking(places: np.ndarray, side: int) -> sparse.csr_array:
    """Return the operator whose rows take the pixels at these places of `side`."""
    ones = np.ones(len(places), np.float32)
    return sparse.csr_array((ones, (np.arange(len(places)), places)), shape=(len(places), side))


def _normalized(operator: sparse.csr_array) -> sparse.csr_array:
    """Return the operator with rows that sum to 1."""
    sums = np.asarray(operator.sum(axis=1)).reshape(-1)
    return sparse.csr_array(sparse.diags_array(1 / sums) @ operator).astype(np.float32)
