"""A sheet of images beside what the augmentation makes of them, to look at before training."""

import keras
import numpy as np
from PIL import Image

from runback.classifier.augmentation.alternating_flip import begin_pass
from runback.classifier.augmentation.stack import refused
from runback.errors import InputError

GAP = 4
"""Pixels between two tiles."""

TILE = 96
"""Pixels that the longer side of a tile has at least: tiny images are enlarged by a whole factor."""


def preview_sheet(
    augmentation: keras.Sequential, images: np.ndarray, *, columns: int = 8, rows: int = 6
) -> Image.Image:
    """Draw the first `rows` images, one a row: the original, a gap, then `columns - 1` augmented variants.

    `images` is uint8 (n, height, width, channels) with 1 or 3 channels. Works on a copy of `augmentation`,
    whose random state stays as it is. Raises InputError where it cannot be applied.
    """
    originals = np.asarray(images[:rows])
    copy = keras.models.clone_model(augmentation)
    # One call a column: some layers draw once for a whole batch.
    try:
        with refused("applied"):
            variants = [_augmented(copy, originals, number) for number in range(columns - 1)]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"augmentation.layers cannot be applied to images of shape {originals.shape[1:]}: "
            f"{' '.join(str(error).split()):.200}"
        ) from error
    grid = [list(tiles) for tiles in zip(originals, *variants, strict=True)]
    return _sheet(grid)


def _augmented(augmentation: keras.Sequential, images: np.ndarray, number: int) -> np.ndarray:
    begin_pass(augmentation, number)
    changed = keras.ops.convert_to_numpy(augmentation(images.astype("float32"), training=True))
    return np.clip(np.rint(changed), 0, 255).astype("uint8")


def _sheet(grid: list[list[np.ndarray]]) -> Image.Image:
    height, width = grid[0][0].shape[:2]
    scale = max(1, -(-TILE // max(height, width)))
    step_x, step_y = width * scale + GAP, height * scale + GAP
    size = (len(grid[0]) * step_x + 3 * GAP, len(grid) * step_y + GAP)
    sheet = Image.new("RGB", size, "white")
    for row, tiles in enumerate(grid):
        for column, tile in enumerate(tiles):
            apart = 2 * GAP if column else 0  # the originals stand apart
            corner = (GAP + column * step_x + apart, GAP + row * step_y)
            sheet.paste(
                _picture(tile).resize((width * scale, height * scale), Image.Resampling.NEAREST), corner
            )
    return sheet


def _picture(tile: np.ndarray) -> Image.Image:
    channels = tile.shape[-1]
    return Image.fromarray(tile[:, :, 0] if channels != 3 else tile).convert("RGB")
