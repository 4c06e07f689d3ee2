from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.class_weights import class_weights, weights_note
from runback.errors import InputError

NAMES = ("cat", "dog", "fox")


def images_of(*counts: int) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Dataset(np.zeros((len(labels), 2, 2, 1), np.uint8), labels, NAMES[: len(counts)])


@pytest.mark.parametrize("counts", [(90, 9, 1), (5, 5, 5), (1, 999)])
def test_balanced_weights_are_those_of_scikit_learn(counts: tuple[int, ...]) -> None:
    train = images_of(*counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=train.labels)
    assert class_weights("balanced", train) == pytest.approx(expected.tolist(), rel=1e-12)


def test_a_mapping_gives_weights_by_name_and_others_stay_at_one() -> None:
    assert class_weights({"fox": 3, "cat": 0.5}, images_of(1, 1, 1)) == (0.5, 1.0, 3.0)


def test_a_number_names_the_class_of_that_name() -> None:
    digits = Dataset(np.zeros((2, 2, 2, 1), np.uint8), np.array([0, 1]), ("0", "1"))
    assert class_weights({1: 2}, digits) == (1.0, 2.0)


def test_a_list_gives_weights_in_the_order_of_the_classes() -> None:
    assert class_weights([1, 2.5, 4], images_of(1, 1, 1)) == (1.0, 2.5, 4.0)


def test_without_the_option_nothing_is_weighted() -> None:
    assert class_weights(None, images_of(9, 1)) is None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("balancd", "must be balanced, null, or numbers"),
        ({"cta": 2}, "no class 'cta'; did you mean 'cat'?"),
        ({"zebra": 2}, "the classes are cat, dog, fox"),
        ({"cat": 0}, "numbers above 0"),
        ({"cat": -1}, "numbers above 0"),
        ({"cat": float("nan")}, "numbers above 0"),
        ({"cat": "much"}, "numbers above 0"),
        ({"cat": True}, "numbers above 0"),
        ([1, 2], "each of 3 classes, which are cat, dog, fox; got 2"),
        ([1, 2, 0], "numbers above 0"),
        (2, "must be balanced"),
    ],
)
def test_other_options_are_refused_with_what_is_expected(option: Any, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        class_weights(option, images_of(3, 2, 1))


def test_balanced_needs_images_of_each_class() -> None:
    with pytest.raises(InputError, match="got none of 'dog'"):
        class_weights("balanced", images_of(3, 0, 1))


def test_the_note_has_the_weights_and_says_that_validation_is_unweighted() -> None:
    weights = class_weights("balanced", images_of(6, 3))
    assert weights is not None
    note = weights_note("balanced", weights, ("cat", "dog"))
    assert "cat 0.75, dog 1.5; val_loss is unweighted" in note


def test_of_many_classes_the_note_has_the_heaviest_and_the_lightest() -> None:
    names = tuple(f"c{number}" for number in range(100))
    note = weights_note("balanced", tuple(float(number + 1) for number in range(100)), names)
    assert "c99 100" in note
    assert "c0 1" in note
    assert "c50" not in note
