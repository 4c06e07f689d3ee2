"""What a trained network says about the images of a split."""

import keras
import numpy as np

from runback.data.dataset import Dataset
from runback.training.batches import VALIDATION_BATCH, validation_batches


def predictions(network: keras.Model, dataset: Dataset) -> np.ndarray:
    """Return the probability of each class for each image, float32 of shape (n, classes), in order."""
    images = validation_batches(dataset, VALIDATION_BATCH).map(lambda images, labels: images)
    return np.asarray(network.predict(images, verbose=0))
