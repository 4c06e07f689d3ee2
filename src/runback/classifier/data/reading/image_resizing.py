"""Brings pictures of any shape to one size."""

from typing import Literal

from PIL import Image, ImageOps

Resize = Literal["stretch", "crop", "pad"]
"""stretch: each side by itself; crop: the short side is scaled, the long one's ends are cut off; pad: the
long side is scaled, the short one is filled up at both ends."""

SAID = {
    "stretch": "stretched to another shape (data.resize=crop or pad keeps theirs)",
    "crop": "of another shape, cut off at two sides",
    "pad": "of another shape, filled up with data.background at two sides",
}
"""What is said of the images whose shape is not that of the size wanted."""


def resized(
    image: Image.Image, size: tuple[int, int], how: Resize, background: tuple[int, int, int]
) -> Image.Image:
    """Return a grey or RGB image in `size`, height and width, bilinear; `background` fills it up."""
    height, width = size
    if how == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    if how == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    inner = inner_size((image.height, image.width), size)
    canvas = Image.new("RGB", (width, height), background).convert(image.mode)
    corner = (width - inner[1]) // 2, (height - inner[0]) // 2
    canvas.paste(image.resize((inner[1], inner[0]), Image.Resampling.BILINEAR), corner)
    return canvas


def inner_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Return the largest size of the shape of `size` that fits into `target`, both height and width."""
    scale = min(target[0] / size[0], target[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
