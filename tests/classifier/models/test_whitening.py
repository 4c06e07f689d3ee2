import subprocess
import sys

import numpy as np
import pytest

from runback.classifier.models.whitening import FLOOR, SAMPLED, whitening


def smooth_images(n: int, side: int = 12, channels: int = 3) -> np.ndarray:
    """Return images whose neighbouring pixels and channels are alike, as a photograph's."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(0, 40, (n, side // 4, side // 4, 1)).repeat(4, axis=1).repeat(4, axis=2)
    noise = rng.normal(0, 20, (n, side, side, channels))
    return (120 + coarse + noise).clip(0, 255).astype(np.uint8)


def filtered(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return what a convolution makes of pixels divided by 255, (patches, filters), written out."""
    size = kernel.shape[0]
    _, height, width, _ = images.shape
    corners = [(y, x) for y in range(0, height - size + 1) for x in range(0, width - size + 1)]
    patches = [images[:, y : y + size, x : x + size] / 255 for y, x in corners]
    return np.concatenate([np.einsum("nyxc,yxcf->nf", patch, kernel) + bias for patch in patches])


@pytest.mark.parametrize(("size", "channels"), [(2, 3), (2, 1), (3, 3)])
def test_patches_get_mean_0_and_covariance_1(size: int, channels: int) -> None:
    images = smooth_images(300, channels=channels)
    kernel, bias = whitening(images, size)
    directions = size * size * channels
    assert kernel.shape == (size, size, channels, 2 * directions)
    found = filtered(images, kernel, bias)[:, :directions].astype(np.float64)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    covariance = np.cov(found.T, bias=True)
    np.testing.assert_allclose(covariance, np.eye(directions), atol=0.05)  # the floor takes a little


def test_the_second_half_is_the_first_ones_negative() -> None:
    kernel, bias = whitening(smooth_images(50), 2)
    np.testing.assert_array_equal(kernel[..., 12:], -kernel[..., :12])
    np.testing.assert_array_equal(bias[12:], -bias[:12])


def test_the_direction_of_the_greatest_variance_is_first_and_the_least_amplified() -> None:
    kernel, _ = whitening(smooth_images(200), 2)
    norms = np.sqrt(np.square(kernel.astype(np.float64)).sum(axis=(0, 1, 2)))[:12]
    assert (np.diff(norms) >= 0).all()
    assert norms[0] < norms[-1] / 2


@pytest.mark.parametrize("value", [0, 7, 255])
def test_images_without_any_contrast_are_filtered_to_zero(value: int) -> None:
    images = np.full((10, 8, 8, 3), value, np.uint8)
    kernel, bias = whitening(images, 2)
    assert np.abs(kernel).max() <= 1.001 / FLOOR**0.5
    np.testing.assert_allclose(filtered(images, kernel, bias), 0, atol=1e-3)


def test_images_sorted_by_class_are_sampled_from_end_to_end() -> None:
    images = np.zeros((3 * SAMPLED, 2, 2, 1), np.uint8)
    images[len(images) // 2 :] = 200
    _, bias = whitening(images, 2)
    kernel, _ = whitening(np.concatenate([images[:1], images[-1:]]), 2)
    np.testing.assert_allclose(
        filtered(images[:1], kernel, bias), -filtered(images[-1:], kernel, bias), atol=1e-3
    )


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    program = (
        "import hashlib, numpy as np; from runback.classifier.models.whitening import whitening;"
        "images = np.random.default_rng(0).integers(0, 256, (3000, 16, 16, 3)).astype(np.uint8);"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in whitening(images, 2))).hexdigest())"
    )
    threads = [{"OPENBLAS_NUM_THREADS": n, "OMP_NUM_THREADS": n} for n in ("1", "2")]
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PATH": "/usr/bin", **one}, check=True, capture_output=True
        ).stdout
        for one in threads
    }
    assert len(digests) == 1
