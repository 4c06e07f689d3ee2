"""Answers of a network that there is none of."""

import numpy as np
import pytest
from scipy.special import softmax

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import Answers

NAMES = ("cat", "dog", "ship", "truck")


def _answers(n=600, classes=NAMES, sureness=2.0, seed=0, shape=(8, 8, 1)):
    """Answers that are right more often than not; `sureness` is how far the label's logit lies above."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, len(classes), n)
    logits = generator.normal(0, 1, (n, len(classes)))
    logits[np.arange(n), labels] += sureness
    images = generator.integers(0, 256, (n, *shape), dtype=np.uint8)
    return Answers(Dataset(images, labels, tuple(classes)), softmax(logits, axis=1))


@pytest.fixture(scope="session")
def made_answers():
    return _answers


@pytest.fixture(scope="session")
def answers():
    return _answers()
