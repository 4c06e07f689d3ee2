"""Draws images side by side, each with a line of text."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from runback.system.text.escape import for_picture

COLUMNS = 5


def image_sheet(images: np.ndarray, captions: Sequence[str], *, columns: int = COLUMNS) -> Figure:
    """Return a figure of images, uint8 of shape (n, height, width, channels), with a caption above each."""
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(1.9 * columns, 2.1 * rows), dpi=100, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes in places:
        axes.set_axis_off()
    for axes, image, caption in zip(places, images, captions, strict=False):
        axes.imshow(
            image if image.shape[-1] == 3 else image[..., 0],
            cmap="gray",
            vmin=0,
            vmax=255,
            interpolation="nearest",
        )
        axes.set_title(for_picture(caption), fontsize=8)
    return figure
