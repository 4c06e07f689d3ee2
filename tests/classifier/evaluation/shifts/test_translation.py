import numpy as np
import pytest

from runback.classifier.evaluation.shifts.translation import MOVES, Move, moved


def test_content_moves_and_the_edge_comes_in():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    assert moved(image, Move("down", 1))[0, :, 0, 0].tolist() == [0, 0, 4, 8]
    assert moved(image, Move("up", 2))[0, :, 0, 0].tolist() == [8, 12, 12, 12]
    assert moved(image, Move("right", 1))[0, 0, :, 0].tolist() == [0, 0, 1, 2]
    assert moved(image, Move("left", 3))[0, 0, :, 0].tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.name)
def test_images_keep_their_form(move):
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 9, 3), dtype=np.uint8)
    made = moved(images, move)
    assert (made.shape, made.dtype) == (images.shape, images.dtype)
