import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from runback.classifier.evaluation.shifts.pixel_operators import (
    apply_to_pixels,
    box_operator,
    filter_operator,
    gaussian_matrix,
    gaussian_operator,
    zoom_operator,
)


@pytest.fixture(params=[(32, 32, 3), (24, 40, 1), (9, 8, 3)], ids=str)
def images(request):
    return np.random.default_rng(1).random((4, *request.param), np.float32)


@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.7])
def test_gaussian_filter_is_scipys(images, sigma):
    expected = ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")
    made = apply_to_pixels(gaussian_operator(sigma, *images.shape[1:3]), images)
    assert made == pytest.approx(expected, abs=1e-5)
    one_line = gaussian_matrix(sigma, images.shape[2]) @ images[0, 0]
    assert one_line == pytest.approx(
        ndimage.gaussian_filter1d(images[0, 0], sigma, 0, mode="reflect", truncate=3), abs=1e-5
    )


def test_filter_is_scipys_correlation(images):
    kernel = np.random.default_rng(2).random((5, 3))
    kernel /= kernel.sum()
    expected = ndimage.correlate(images, kernel[None, :, :, None], mode="mirror")
    made = apply_to_pixels(filter_operator(kernel, *images.shape[1:3]), images)
    assert made == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("share", [0.95, 0.85, 0.65, 0.5])
def test_boxes_are_pillows(images, share):
    height, width = images.shape[1:3]
    made = apply_to_pixels(box_operator(share, height, width), images)
    for one, result in zip(images, made, strict=True):
        for channel in range(one.shape[-1]):
            picture = Image.fromarray(one[..., channel])
            small = picture.resize(
                (max(1, int(width * share)), max(1, int(height * share))), Image.Resampling.BOX
            )
            expected = np.asarray(small.resize((width, height), Image.Resampling.BOX))
            assert result[..., channel] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("factor", [1.0, 1.05, 1.13, 1.25])
def test_zoom_is_the_middle_of_scipys(images, factor):
    height, width = images.shape[1:3]
    seen = [int(np.ceil(side / factor)) for side in (height, width)]
    top, left = (height - seen[0]) // 2, (width - seen[1]) // 2
    part = images[:, top : top + seen[0], left : left + seen[1]]
    enlarged = ndimage.zoom(part, (1, factor, factor, 1), order=1)
    top, left = (enlarged.shape[1] - height) // 2, (enlarged.shape[2] - width) // 2
    expected = enlarged[:, top : top + height, left : left + width]
    made = apply_to_pixels(zoom_operator(factor, height, width), images)
    assert made == pytest.approx(expected, abs=1e-5)
