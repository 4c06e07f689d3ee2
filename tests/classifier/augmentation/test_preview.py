import numpy as np
import pytest
import tensorflow

from runback.classifier.augmentation import preview
from runback.classifier.augmentation.preview import preview_sheet
from runback.classifier.augmentation.stack import build_stack
from runback.errors import InputError

LAYERS = [
    {"_target_": "keras.layers.RandomFlip", "mode": "horizontal"},
    {"_target_": "runback.classifier.augmentation.pad_crop.PadCrop", "pad": 2},
]


def images_of(channels: int, n: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (n, 8, 8, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_originals_stand_first_and_enlarged(channels: int) -> None:
    images = images_of(channels)
    sheet = preview_sheet(build_stack(LAYERS, (8, 8, channels), seed=1), images, columns=4, rows=3)
    assert sheet.mode == "RGB"
    for row in range(3):
        tile = np.asarray(sheet)[4 + row * 100 : 100 + row * 100, 4:100]
        np.testing.assert_array_equal(tile[::12, ::12, :channels], images[row])


def test_the_variants_of_one_image_differ() -> None:
    sheet = np.asarray(preview_sheet(build_stack(LAYERS, (8, 8, 1), seed=1), images_of(1), columns=5, rows=1))
    tiles = {sheet[4:100, start : start + 96].tobytes() for start in range(112, 500, 100)}
    assert len(tiles) == 4


def test_fewer_images_than_rows_make_a_smaller_sheet() -> None:
    stack = build_stack(LAYERS, (8, 8, 1), seed=1)
    assert preview_sheet(stack, images_of(1, n=2), rows=6).height == 2 * 100 + 4


def test_a_preview_does_not_move_the_random_state_of_the_training() -> None:
    images = images_of(1).astype("float32")
    untouched, previewed = (build_stack(LAYERS, (8, 8, 1), seed=1) for _ in range(2))
    preview_sheet(previewed, images_of(1))
    np.testing.assert_array_equal(previewed(images, training=True), untouched(images, training=True))


@pytest.mark.parametrize(
    "error",
    [tensorflow.errors.ResourceExhaustedError(None, None, "OOM\nhere"), MemoryError(), ValueError("a\nb")],
)
def test_layers_that_cannot_be_applied_are_refused_in_one_line(error, monkeypatch):
    augmentation = build_stack(LAYERS, (8, 8, 1), seed=1)

    def fail(*_):
        raise error

    monkeypatch.setattr(preview, "_augmented", fail)
    with pytest.raises(InputError, match=r"augmentation\.layers cannot be applied") as told:
        preview_sheet(augmentation, images_of(1))
    assert "\n" not in str(told.value)
