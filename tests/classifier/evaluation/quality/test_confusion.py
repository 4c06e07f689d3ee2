import io
import warnings

import numpy as np
import pytest
from PIL import Image

from runback.classifier.evaluation.quality.confusion import COUNTS_UP_TO, confusion_figure


def _matrix(k, seed=0):
    generator = np.random.default_rng(seed)
    matrix = generator.poisson(3, (k, k))
    matrix[np.arange(k), np.arange(k)] = generator.poisson(80, k)
    return matrix


@pytest.mark.parametrize("k", [2, 10, 100])
def test_a_matrix_of_any_size_is_drawn_without_a_warning(k):
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        confusion_figure(_matrix(k), [f"class number {i}" for i in range(k)]).savefig(file, format="png")
    image = Image.open(file)
    assert min(image.size) >= 400
    assert max(image.size) <= 2800


def test_rows_are_true_classes_and_cells_hold_their_counts():
    figure = confusion_figure(np.array([[8, 2], [0, 1234]]), ["cat", "dog"])
    axes = figure.axes[0]
    cells = {(text.get_position()): text.get_text() for text in axes.texts}
    assert cells == {
        (0, 0): "8",
        (1, 0): "2",
        (0, 1): "",
        (1, 1): "1,234",
    }  # x is the answer, y the true class
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "true class")
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2], [0, 1]])
    assert axes.get_title() == "99.8% of 1,244 images right"


def test_a_large_matrix_shows_colours_only():
    k = COUNTS_UP_TO + 1
    assert not confusion_figure(_matrix(k), [str(i) for i in range(k)]).axes[0].texts


def test_a_class_without_images_is_drawn_empty():
    figure = confusion_figure(np.array([[3, 0], [0, 0]]), ["cat", "dog"])
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), [[1, 0], [0, 0]])


def test_a_name_that_matplotlib_could_read_as_a_formula_is_drawn_as_it_is():
    confusion_figure(np.eye(2, dtype=int), ["$x^$", "a_b$"]).savefig(io.BytesIO(), format="png")


@pytest.mark.parametrize("k", [2, 25, 100])
def test_the_axes_names_lie_inside_the_picture(k):
    figure = confusion_figure(_matrix(k), [f"class number {i}" for i in range(k)])
    figure.draw_without_rendering()
    for label in (figure.axes[0].yaxis.label, figure.axes[0].xaxis.label, figure.axes[1].yaxis.label):
        box = label.get_window_extent()
        assert figure.bbox.x0 <= box.x0 < box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 < box.y1 <= figure.bbox.y1
