"""A whole evaluation of a small network, and the page of it."""

import json
import re

import keras
import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.groups.metadata import Grouping
from runback.classifier.evaluation.measure_names import unknown_number
from runback.classifier.evaluation.network_evaluation import STEPS, EvaluationOptions, Splits, evaluate
from runback.classifier.evaluation.page.evaluation_page import evaluation_page

SECTIONS = ["quality", "calibration", "groups", "consistency", "corruptions", "inputs", "membership"]


def split(n, names=("cat", "dog", "<b>ship"), seed=0, shape=(8, 8, 1)):
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % len(names)
    images = generator.integers(0, 256, (n, *shape), dtype=np.uint8)
    images[np.arange(n), labels] = 255  # a bright line says the class
    return Dataset(images, labels, tuple(names))


def trained(data, epochs):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input(data.images.shape[1:]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(len(data.class_names), activation="softmax"),
        ]
    )
    network.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    network.fit(data.images, data.labels, epochs=epochs, verbose=0)
    return network


@pytest.fixture(scope="module")
def found():
    splits = Splits(split(300), split(90, seed=1), split(150, seed=2))
    groups = [Grouping("site", ("a", "b"), np.arange(150) % 2)]
    seen = []
    options = EvaluationOptions(top_k=2, groupings=groups, wanted_accuracy=0.8)
    return evaluate(trained(splits.train, 5), splits, options, seen.append), seen


def test_all_sections_are_there_and_survive_json(found):
    evaluation, seen = found
    assert [section.name for section in evaluation.sections] == SECTIONS
    content = evaluation.as_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert len(seen) == STEPS


def test_every_number_has_its_images_and_nearly_all_an_interval(found):
    evaluation, _ = found
    for section in evaluation.sections:
        for name, one in section.measures.items():
            assert one.n > 0
            assert np.isfinite(one.value), name
            if one.low is not None:
                assert one.low <= one.high, name
                assert one.low >= 0 or name.startswith("log"), name
    without = [
        name for section in evaluation.sections for name, one in section.measures.items() if one.low is None
    ]
    assert without == []


def numbers_of(place, name=""):
    """Yield the dotted names of all numbers, as gates have them."""
    if isinstance(place, dict):
        parts = place.items()
    elif isinstance(place, list):
        parts = [
            (one.get("name", at) if isinstance(one, dict) else at, one) for at, one in enumerate(place, 1)
        ]
    else:
        if isinstance(place, int | float):
            yield name
        return
    for part, one in parts:
        yield from numbers_of(one, f"{name}.{part}" if name else str(part))


def test_all_numbers_are_known_by_their_names(found):
    evaluation, _ = found
    names = [name for name in numbers_of(evaluation.as_dict()) if ".first." not in name]
    assert len(names) > 500
    for name in names:
        if not name.startswith("quality.confident_mistakes."):
            assert unknown_number(name) is None, name
    assert "did you mean" in unknown_number("quality.acuracy")
    assert "did you mean" in unknown_number("qualty.accuracy")
    for name in ("quality.accuracy.hgih", "quality.classes.cat.recal", "quality.classes", "cost.n", "n.low"):
        assert unknown_number(name) is not None, name


def test_a_name_of_a_number_occurs_once(found):
    evaluation, _ = found
    names = [name for section in evaluation.sections for name in section.measures]
    assert len(set(names)) == len(names)


def test_the_page_shows_all_and_obeys_no_name_of_a_class(found):
    evaluation, _ = found
    page = evaluation_page("Evaluation of <x>", {"run": "abc"}, evaluation.sections)
    assert "<b>ship" not in page
    assert "&lt;b&gt;ship" in page
    for section in evaluation.sections:
        assert f'<h2 id="{section.name}">' in page
        for table in section.tables:
            assert table.title in page
    pictures = sum(len(section.pictures) for section in evaluation.sections)
    assert len(re.findall("<img ", page)) == pictures >= 10


@pytest.mark.parametrize(("n", "names"), [(2, "ab"), (6, "abc")])
def test_a_handful_of_images_is_evaluated_as_far_as_it_goes(n, names):
    splits = Splits(split(n * 4, names), split(n, names, seed=1), split(n, names, seed=2))
    evaluation = evaluate(trained(splits.train, 1), splits, EvaluationOptions(top_k=2), lambda _: None)
    json.dumps(evaluation.as_dict(), allow_nan=False)
    assert "worst_class_accuracy" not in evaluation.sections[2].measures


def test_images_of_ones_own_say_nothing_of_membership():
    splits = Splits(split(40), split(20, seed=1), split(30, seed=2))
    network = trained(splits.train, 1)
    options = EvaluationOptions(top_k=2, with_membership=False)
    evaluation = evaluate(network, splits, options, lambda _: None)
    assert [section.name for section in evaluation.sections] == SECTIONS[:-1]
