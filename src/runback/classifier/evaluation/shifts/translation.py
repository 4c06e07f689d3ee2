"""Images moved by whole pixels."""

from dataclasses import dataclass
from typing import Final

import numpy as np

FURTHEST: Final = 4
"""The largest move, in pixels."""

DIRECTIONS: Final = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
"""Where an image's content goes, in rows and columns."""


@dataclass(frozen=True)
class Move:
    """A move of an image's content by `pixels` in a direction."""

    direction: str
    pixels: int

    @property
    def name(self) -> str:
        """How a person reads it."""
        return f"{self.pixels} {self.direction}"


MOVES: Final = tuple(Move(direction, pixels) for pixels in range(1, FURTHEST + 1) for direction in DIRECTIONS)


def moved(images: np.ndarray, move: Move) -> np.ndarray:
    """Return images (n, height, width, channels) that are moved; what comes in repeats the edge."""
    height, width = images.shape[1:3]
    down, right = (step * move.pixels for step in DIRECTIONS[move.direction])
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return images[:, rows][:, :, columns]
