"""How an image gets worse: the fifteen corruptions of CIFAR-10-C.

Each takes images in [0, 1], float32 of shape (n, height, width, channels), one of its five parameters, and a
generator, and returns images of that shape; what lies outside [0, 1] is cut off by who calls it. Lengths are
in pixels of images of 32 by 32, and grow with the image's shorter side.

Written anew, after the definitions in D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness
to common corruptions and perturbations", ICLR 2019, and the parameters in the script that made their data
(github.com/hendrycks/robustness, ImageNet-C/create_c/make_cifar_c.py). It differs from that script so: frost
is made, where they cut it out of photographs; glass exchanges pixels, where they copy one over the other;
values are not rounded to whole levels between the steps of glass, snow, motion and pixelate, and are cut, not
rounded, to levels at the end.
"""

import functools
import io
import math
from typing import Any, Literal

import numpy as np
from PIL import Image
from scipy import sparse

from runback.classifier.evaluation.shifts.pixel_operators import (
    RECENT,
    apply_to_pixels,
    box_operator,
    filter_operator,
    gaussian_operator,
    zoom_operator,
)
from runback.classifier.evaluation.shifts.random_fields import frosted_pane, plasma, smooth_noise

AT_ONCE = 32
"""Images that are interpolated at a time: their arrays fit a processor's cache."""

SIDE = 32
"""The side of the images that lengths are given for."""

LEAST_WEIGHT = 1 / 1024
"""What is left out of a motion blur: a quarter of a level of 255."""

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
"""The weights of red, green and blue in ITU-R BT.601."""


def gaussian_noise(images: np.ndarray, scale: float, generator: np.random.Generator) -> np.ndarray:
    """Add normal noise of this standard deviation."""
    return images + np.float32(scale) * generator.standard_normal(images.shape, np.float32)


def shot_noise(images: np.ndarray, photons: float, generator: np.random.Generator) -> np.ndarray:
    """Count photons: white is this many on average."""
    return (generator.poisson(images * photons) / np.float32(photons)).astype(np.float32)


def impulse_noise(images: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Make this share of all values black or white, half of them each."""
    drawn = generator.random(images.shape, np.float32)
    return np.where(drawn < share / 2, 0, np.where(drawn < share, 1, images)).astype(np.float32)


def defocus_blur(
    images: np.ndarray, radius_and_blur: tuple[float, float], generator: np.random.Generator
) -> np.ndarray:
    """Filter with a disk of this radius, whose edge is blurred by a Gaussian of this sigma."""
    return apply_to_pixels(_defocus_operator(*radius_and_blur, *images.shape[1:3]), images)


def glass_blur(
    images: np.ndarray, sigma_and_rounds: tuple[float, int], generator: np.random.Generator
) -> np.ndarray:
    """Exchange each pixel with the one above or left of it, or both, or none; blur before and after."""
    sigma, times = sigma_and_rounds
    n, height, width, channels = images.shape
    blur = gaussian_operator(sigma * _scale(images), height, width)
    blurred = apply_to_pixels(blur, images).reshape(-1, channels)
    places = np.arange(height * width)[:, None] + np.arange(n) * (height * width)  # (pixels, n)
    every = np.arange(n)
    for _ in range(times):
        moves = generator.integers(0, 2, (height, width, 2, n))
        for row in range(height - 1, 1, -1):
            for column in range(width - 1, 1, -1):
                up, left = moves[row, column]
                here, there = row * width + column, (row - up) * width + column - left
                kept = places[here].copy()
                places[here] = places[there, every]
                places[there, every] = kept
    return apply_to_pixels(blur, blurred.take(places.T.reshape(-1), axis=0).reshape(images.shape))


def motion_blur(
    images: np.ndarray, radius_and_sigma: tuple[float, float], generator: np.random.Generator
) -> np.ndarray:
    """Smear along a direction within 45 degrees of level, another for each image."""
    angles = generator.uniform(-45, 45, len(images))
    radius, sigma = radius_and_sigma
    return smeared(images, radius, sigma, angles)


def zoom_blur(images: np.ndarray, furthest: float, generator: np.random.Generator) -> np.ndarray:
    """Take the mean over zooms from 1 to `furthest` in steps of 0.01, the image itself counted twice."""
    return apply_to_pixels(_zoom_blur_operator(furthest, *images.shape[1:3]), images)


def snow(
    images: np.ndarray,
    parameters: tuple[float, float, float, float, float, float, float],
    generator: np.random.Generator,
) -> np.ndarray:
    """Let it snow, with wind from above, over an image that grows paler.

    The parameters are mean and standard deviation of the flakes, their size, the least that shows, radius and
    sigma of their fall, and what is left of the image's own light.
    """
    mean, deviation, size, least, radius, sigma, rest = parameters
    n, height, width, channels = images.shape
    flakes = mean + np.float32(deviation) * generator.standard_normal((n, height, width, 1), np.float32)
    flakes = apply_to_pixels(zoom_operator(max(1.0, size * _scale(images)), height, width), flakes)
    flakes = np.clip(np.where(flakes < least, 0, flakes), 0, 1)
    fallen = smeared(flakes, radius, sigma, np.asarray(generator.uniform(-135, -45, n)))
    grey = images if channels == 1 else (images @ LUMINANCE)[..., None]
    pale = rest * images + (1 - rest) * np.maximum(images, grey * 1.5 + 0.5)
    return pale + fallen + fallen[:, ::-1, ::-1]


def frost(images: np.ndarray, shares: tuple[float, float], generator: np.random.Generator) -> np.ndarray:
    """Lay a part of a frosted pane over each image: shares of the image, and of the pane."""
    n, height, width, channels = images.shape
    pane = frosted_pane(max(height, width), generator)
    if channels == 1:
        pane = pane @ LUMINANCE[:, None]
    corners = generator.integers(0, len(pane) - max(height, width), (n, 2))
    parts = np.lib.stride_tricks.sliding_window_view(pane, (height, width), axis=(0, 1))
    covers = np.moveaxis(parts[corners[:, 0], corners[:, 1]], 1, -1)
    return np.float32(shares[0]) * images + np.float32(shares[1]) * covers


def fog(
    images: np.ndarray, density_and_decay: tuple[float, float], generator: np.random.Generator
) -> np.ndarray:
    """Add a cloud, and let the brightest value stay what it was."""
    density, decay = density_and_decay
    n, height, width, _ = images.shape
    cloud = plasma(n, max(height, width), decay, generator)[:, :height, :width, None]
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((images + np.float32(density) * cloud) * brightest / (brightest + np.float32(density)))


def brightness(images: np.ndarray, added: float, generator: np.random.Generator) -> np.ndarray:
    """Add this to the value of each pixel (HSV); hue and saturation stay."""
    value = functools.reduce(np.maximum, np.moveaxis(images, -1, 0))[..., None]
    brighter = np.minimum(value + np.float32(added), 1)
    return np.where(value > 0, images * (brighter / np.maximum(value, 1e-6)), brighter)


def contrast(images: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Leave this share of each value's distance from the mean of its channel in its image."""
    means = np.einsum("nhwc->nc", images)[:, None, None] / math.prod(images.shape[1:3])
    return np.asarray((images - means) * np.float32(share) + means)


def elastic_transform(
    images: np.ndarray, shares: tuple[float, float, float], generator: np.random.Generator
) -> np.ndarray:
    """Move three points of each image, and stretch it along; then let a smooth field pull at its pixels.

    The shares of the side are the field's strength, the sigma that it is smoothed by, and how far a point
    moves at most.
    """
    n, height, width, _ = images.shape
    strength, sigma, furthest = (share * min(height, width) for share in shares)
    down, right = np.mgrid[:height, :width].astype(np.float32)
    stretched = interpolated(images, *_stretched(n, height, width, furthest, generator), repeats_edge=False)
    if strength <= 0:
        return stretched
    pulls = (smooth_noise(n, height, width, sigma, generator) * np.float32(strength) for _ in range(2))
    return interpolated(stretched, down + next(pulls), right + next(pulls), repeats_edge=True)


def pixelate(images: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Make the image this share of its size, and as large again, without smoothing."""
    return apply_to_pixels(box_operator(share, *images.shape[1:3]), images)


def jpeg_compression(images: np.ndarray, quality: int, generator: np.random.Generator) -> np.ndarray:
    """Store each image as a JPEG file of this quality, and read it."""
    pixels = np.asarray(np.round(images * 255), np.uint8)
    made = np.empty_like(pixels)
    for place, one in enumerate(pixels):
        file = io.BytesIO()
        Image.fromarray(one if one.shape[-1] == 3 else one[..., 0]).save(file, "JPEG", quality=quality)
        made[place] = np.frombuffer(Image.open(file).tobytes(), np.uint8).reshape(one.shape)
    return made.astype(np.float32) / 255


def smeared(images: np.ndarray, radius: float, sigma: float, angles: np.ndarray) -> np.ndarray:
    """Return each image smeared one way along its angle, in degrees, by half a Gaussian; edges are repeated.

    The steps along a direction are whole pixels, as in ImageMagick's MotionBlurImage.
    """
    scale = _scale(images)
    weights = np.exp(-0.5 * (np.arange(2 * math.ceil(radius * scale) + 1) / (sigma * scale)) ** 2)
    weights = weights[weights > LEAST_WEIGHT * weights.sum()]
    weights /= weights.sum()
    distance, turn = np.arange(len(weights)), np.deg2rad(angles)[:, None]
    steps = np.ceil(np.stack([np.sin(turn), np.cos(turn)], axis=-1) * distance[:, None] - 0.5).astype(int)
    made = np.empty_like(images)
    paths, which = np.unique(steps.reshape(len(images), -1), axis=0, return_inverse=True)
    for number, path in enumerate(paths):
        chosen = np.flatnonzero(which.reshape(-1) == number)
        made[chosen] = _smeared_along(images[chosen], path.reshape(-1, 2).tolist(), weights.tolist())
    return made


def interpolated(
    images: np.ndarray, down: np.ndarray, right: np.ndarray, *, repeats_edge: bool
) -> np.ndarray:
    """Return the images' values at these places, bilinear; what lies outside is mirrored.

    `down` and `right` are in pixels from the first, of shape (n, height, width) or (height, width). With
    `repeats_edge` the mirror lies at the edge of the outermost pixels, else in their middle.
    """
    n, height, width, _ = images.shape
    down, right = (np.broadcast_to(one, (n, height, width)) for one in (down, right))
    made = np.empty(images.shape, np.float32)
    for first in range(0, n, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        made[some] = _interpolated(images[some], down[some], right[some], repeats_edge)
    return made


@functools.lru_cache(maxsize=RECENT)
def _defocus_operator(radius: float, blur: float, height: int, width: int) -> sparse.csr_array:
    scale = min(height, width) / SIDE
    reach, soft = math.ceil(radius * scale) + 1, max(1, round(scale))
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (down**2 + right**2 <= (radius * scale) ** 2).astype(np.float32)
    edge = np.exp(-0.5 * (np.arange(-soft, soft + 1) / (blur * max(1.0, scale))) ** 2)
    edge /= edge.sum()
    kernel = sum(
        weight * np.roll(np.pad(disk, soft), (row - soft, column - soft), (0, 1))
        for (row, column), weight in np.ndenumerate(np.outer(edge, edge))
    )
    return filter_operator(np.asarray(kernel), height, width)


@functools.lru_cache(maxsize=RECENT)
def _zoom_blur_operator(furthest: float, height: int, width: int) -> sparse.csr_array:
    steps = round((furthest - 1) / 0.01)
    zooms = [1.0, *(1 + 0.01 * step for step in range(steps + 1))]
    return (sum(zoom_operator(zoom, height, width) for zoom in zooms) / len(zooms)).tocsr()


def _interpolated(images: np.ndarray, down: np.ndarray, right: np.ndarray, repeats_edge: bool) -> np.ndarray:
    n, height, width, channels = images.shape
    top, left = np.floor(down), np.floor(right)
    low, far = down - top, right - left
    rows = [_mirrored(top.astype(np.intp) + step, height, repeats_edge) * width for step in (0, 1)]
    columns = [_mirrored(left.astype(np.intp) + step, width, repeats_edge) for step in (0, 1)]
    first = (np.arange(n) * (height * width))[:, None, None]
    places = [first + row + column for row in rows for column in columns]
    made = np.empty(images.shape, np.float32)
    for channel in range(channels):
        plane = images[..., channel].reshape(-1)
        a, b, c, d = (plane.take(place) for place in places)
        upper, lower = a + (b - a) * far, c + (d - c) * far
        made[..., channel] = upper + (lower - upper) * low
    return made


def _smeared_along(images: np.ndarray, path: list[list[int]], weights: list[float]) -> np.ndarray:
    height, width = images.shape[1:3]
    reach = max(abs(step) for place in path for step in place)
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    total = np.zeros_like(images)
    for (down, right), weight in zip(path, weights, strict=True):
        top, left = reach + down, reach + right
        total += np.float32(weight) * padded[:, top : top + height, left : left + width]
    return total


def _stretched(
    n: int, height: int, width: int, furthest: float, generator: np.random.Generator
) -> tuple[Any, Any]:
    """Return where each pixel comes from when three points have moved: rows and columns."""
    middle, reach = np.array([width // 2, height // 2]), min(height, width) // 3
    points = middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = points + generator.uniform(-furthest, furthest, (n, 3, 2))
    ones = np.ones((n, 3, 1))
    back = np.linalg.solve(np.concatenate([moved, ones], axis=2), np.broadcast_to(points, moved.shape))
    down, right = np.mgrid[:height, :width]
    places = np.stack([right, down, np.ones_like(down)], axis=-1) @ back[:, None]
    return places[..., 1].astype(np.float32), places[..., 0].astype(np.float32)


def _mirrored(places: np.ndarray, side: int, repeats_edge: bool) -> np.ndarray:
    """Return places in 0..side-1; those outside are mirrored, again and again."""
    least, most = int(places.min()), int(places.max())
    before, after = max(0, -least), max(0, most - side + 1)
    mode: Literal["symmetric", "reflect"] = "symmetric" if repeats_edge or side == 1 else "reflect"
    return np.pad(np.arange(side), (before, after), mode=mode).take(places + before)


def _scale(images: np.ndarray) -> float:
    return float(min(images.shape[1:3]) / SIDE)
