import keras
import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.models.deep_cnn import deep_cnn
from runback.errors import InputError

NAMES = ("cat", "dog", "ship", "truck")


@pytest.fixture(scope="module")
def test_split():
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (301, 8, 8, 1), dtype=np.uint8)
    return Dataset(images, generator.integers(0, 3, 301), NAMES)  # no truck


def test_answers_are_the_networks_and_their_loss_is_keras(test_split):
    network = deep_cnn((8, 8, 1), len(NAMES))
    network.compile(loss=keras.losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    found = predict_answers(network, test_split)
    loss, accuracy = network.evaluate(test_split.images, test_split.labels, verbose=0)
    assert found.losses.mean() == pytest.approx(loss, abs=1e-4)
    assert found.correct.mean() == pytest.approx(accuracy, abs=1e-6)
    assert found.predicted.tolist() == network.predict(test_split.images, verbose=0).argmax(axis=1).tolist()
    assert found.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-12)


def test_a_network_for_other_classes_is_refused(test_split):
    fewer = Dataset(test_split.images, test_split.labels, NAMES[:3])
    with pytest.raises(InputError, match=r"shape \(301, 3\), for 3 classes; .* \(301, 4\)"):
        predict_answers(deep_cnn((8, 8, 1), len(NAMES)), fewer)


def test_a_network_that_returns_no_probabilities_is_refused(test_split):
    logits = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(len(NAMES))]
    )
    with pytest.raises(InputError, match="must be a softmax"):
        predict_answers(logits, test_split)
