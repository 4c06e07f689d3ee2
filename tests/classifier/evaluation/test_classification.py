import json

import keras
import numpy as np
import pytest
from sklearn.metrics import f1_score, top_k_accuracy_score

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.classification import evaluate
from runback.classifier.models.deep_cnn import deep_cnn
from runback.errors import InputError

NAMES = ("cat", "dog", "ship", "truck")


@pytest.fixture(scope="module")
def test_split():
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (301, 8, 8, 1), dtype=np.uint8)
    return Dataset(images, generator.integers(0, 3, 301), NAMES)  # no truck


def _network(scale=1.0):
    """An untrained network; a large `scale` makes it certain of what it says, right or wrong."""
    keras.utils.set_random_seed(5)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Rescaling(scale / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(len(NAMES), activation="softmax"),
        ]
    )
    network.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


@pytest.mark.parametrize("scale", [1.0, 10.0, 40.0])
def test_loss_and_accuracy_are_those_of_keras(test_split, scale):
    network = _network(scale)
    report = evaluate(network, test_split, batch_size=64)
    loss, accuracy = network.evaluate(test_split.images, test_split.labels, batch_size=64, verbose=0)
    assert report.loss == pytest.approx(loss, abs=1e-4 * max(1, loss))
    assert report.accuracy == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_macro_f1_and_top_k_accuracy_are_those_of_scikit_learn(test_split, k):
    network = _network(10.0)
    report = evaluate(network, test_split, top_k=k)
    probabilities = network.predict(test_split.images, verbose=0)
    expected = f1_score(test_split.labels, probabilities.argmax(axis=1), average="macro")
    assert report.macro_f1 == pytest.approx(expected, abs=1e-9)
    expected = top_k_accuracy_score(test_split.labels, probabilities, k=k, labels=range(4))
    assert report.as_dict()["test_top_k_accuracy"] == pytest.approx(expected, abs=1e-9)


def test_top_k_accuracy_is_reported_only_where_it_was_asked_for(test_split):
    assert {"top_k", "test_top_k_accuracy"}.isdisjoint(evaluate(_network(), test_split).as_dict())


def test_loss_is_that_of_keras_for_our_own_network(test_split):
    network = deep_cnn((8, 8, 1), len(NAMES))
    network.compile(loss=keras.losses.SparseCategoricalCrossentropy())
    loss = network.evaluate(test_split.images, test_split.labels, verbose=0)
    assert evaluate(network, test_split).loss == pytest.approx(loss, abs=1e-4)


def test_the_confusion_counts_each_image_once(test_split):
    network = _network(10.0)
    report = evaluate(network, test_split)
    answers = network.predict(test_split.images, verbose=0).argmax(axis=1)
    expected = np.zeros((4, 4), int)
    for true, answer in zip(test_split.labels, answers, strict=True):
        expected[true, answer] += 1
    np.testing.assert_array_equal(report.confusion, expected)
    assert report.confusion.sum() == report.n == len(test_split)
    assert report.accuracy == report.confusion.trace() / 301
    low, high = report.interval
    assert low < report.accuracy < high


def test_each_class_has_its_own_accuracy_and_an_absent_one_has_none(test_split):
    report = evaluate(_network(10.0), test_split)
    assert report.class_names == NAMES
    for position, one in enumerate(report.per_class[:3]):
        assert one.n == np.count_nonzero(test_split.labels == position)
        assert one.accuracy == report.confusion[position, position] / one.n
        assert one.interval[0] <= one.accuracy <= one.interval[1]
    truck = report.per_class[3]
    assert (truck.n, truck.accuracy, truck.interval) == (0, None, None)


def test_the_report_survives_json(test_split):
    report = evaluate(_network(10.0), test_split)
    read = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert read["test_accuracy"] == report.accuracy
    assert read["test_loss"] == report.loss
    assert read["confusion"] == report.confusion.tolist()
    assert [one["name"] for one in read["classes"]] == list(NAMES)


def test_a_network_for_other_classes_is_refused(test_split):
    fewer = Dataset(test_split.images, test_split.labels, NAMES[:3])
    with pytest.raises(InputError, match=r"shape \(301, 3\) for the test split's 3 classes; .* \(301, 4\)"):
        evaluate(_network(), fewer)


def test_a_network_that_returns_no_probabilities_is_refused(test_split):
    logits = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(len(NAMES))]
    )
    with pytest.raises(InputError, match="must be a softmax"):
        evaluate(logits, test_split)
