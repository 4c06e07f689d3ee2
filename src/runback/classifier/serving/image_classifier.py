"""A network with the names of its classes: images in, answers out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from runback.errors import InputError

if TYPE_CHECKING:
    import keras

BATCH = 32
"""Images that are computed at once: what `model.predict` takes by default, so that the bits are its own."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that takes raw images of `shape` (height, width, channels) and tells `class_names` apart.

    Raises InputError where the network does not fit these.
    """

    network: "keras.Model"
    shape: tuple[int, int, int]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        takes, gives = self.network.input_shape, self.network.output_shape
        image = (None, *self.shape)
        fits = len(takes) == len(image) == 4 and all(
            own in (None, side) for own, side in zip(takes, image, strict=True)
        )
        if not fits or gives != (None, len(self.class_names)):
            raise InputError(
                f"the network takes {takes} and gives {gives}: it is not the one of a run "
                f"on images {self.shape} of {len(self.class_names)} classes"
            )

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the probability of each class for each image, (n, classes), of uint8 (n, *shape).

        `model.predict` gives the same; it takes 50 times as long for a single image.
        """
        starts = range(0, len(images), BATCH)
        return np.concatenate([self.network.predict_on_batch(images[i : i + BATCH]) for i in starts])

    def answers(self, images: np.ndarray) -> list[dict[str, Any]]:
        """Return, for each image, its likeliest class, that one's probability, and all probabilities."""
        return [self._answer(row) for row in self.probabilities(images).astype(np.float64)]

    def warm_up(self) -> None:
        """Build the graph, so that no request waits for it. InputError where nothing finite comes out."""
        for n in (1, 2):  # TensorFlow generalises the size at the second one
            if not np.isfinite(self.probabilities(np.zeros((n, *self.shape), np.uint8))).all():
                raise InputError("the network gives no finite probabilities")

    def _answer(self, row: np.ndarray) -> dict[str, Any]:
        named = dict(zip(self.class_names, row.tolist(), strict=True))
        best = self.class_names[int(row.argmax())]
        return {"class": best, "probability": named[best], "probabilities": named}
