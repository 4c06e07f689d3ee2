import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.data.split import held_out, limited, train_validation
from runback.errors import InputError


def numbered(sizes, seed=0):
    """A dataset with so many images of each class, mixed; image i holds the number i."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 1, 1, 0] = np.divmod(np.arange(len(labels)), 256)
    return Dataset(images, labels, tuple(f"class {i}" for i in range(len(sizes))))


def positions(dataset):
    return (dataset.images[:, 0, 0, 0].astype(int) * 256 + dataset.images[:, 1, 1, 0]).tolist()


def counts(dataset):
    return np.bincount(dataset.labels, minlength=len(dataset.class_names)).tolist()


def test_stratified_parts_are_disjoint_complete_and_in_the_original_order():
    whole = numbered([100, 100, 100])
    train, validation = train_validation(whole, method="stratified", fraction=0.1, seed=0)
    assert sorted(positions(train) + positions(validation)) == list(range(300))
    assert positions(train) == sorted(positions(train))
    assert positions(validation) == sorted(positions(validation))


def test_stratified_keeps_every_class_in_its_proportion():
    train, validation = train_validation(numbered([500, 300, 200]), method="stratified", fraction=0.2, seed=3)
    assert counts(validation) == [100, 60, 40]
    assert counts(train) == [400, 240, 160]


def test_what_does_not_divide_goes_to_the_largest_remainders():
    _, validation = train_validation(numbered([17, 14, 12]), method="stratified", fraction=0.1, seed=0)
    assert counts(validation) == [2, 2, 1]  # 5 in all of 1.98, 1.63 and 1.40


def test_the_same_seed_draws_the_same_and_another_draws_others():
    whole = numbered([50, 50])
    draws = [
        positions(train_validation(whole, method="stratified", fraction=0.2, seed=seed)[1])
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_tail_validates_on_the_last_images():
    train, validation = train_validation(numbered([50, 50]), method="tail", fraction=0.2, seed=0)
    assert positions(train) == list(range(80))
    assert positions(validation) == list(range(80, 100))


def test_a_fraction_that_floats_cannot_hold_cuts_where_it_says():
    _, validation = train_validation(numbered([50, 50]), method="tail", fraction=0.07, seed=0)
    assert len(validation) == 7


@pytest.mark.parametrize("fraction", [1.5, 1, 0, -0.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(InputError, match=rf"^data.validation_fraction must lie in \(0, 1\); got {fraction}$"):
        train_validation(numbered([5, 5]), method="stratified", fraction=fraction, seed=0)


def test_a_part_left_empty_is_refused():
    with pytest.raises(InputError, match="leaves one part empty: got 0 to train and 2 to validate"):
        train_validation(numbered([1, 1]), method="tail", fraction=0.9, seed=0)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="must be one of stratified, tail; got 'head'"):
        train_validation(numbered([5, 5]), method="head", fraction=0.5, seed=0)  # type: ignore[arg-type]


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="must be 0 or greater; got -1"):
        train_validation(numbered([5, 5]), method="stratified", fraction=0.5, seed=-1)


def test_a_limit_keeps_proportions_and_order():
    part = limited(numbered([500, 300, 200]), 100, seed=0)
    assert counts(part) == [50, 30, 20]
    assert positions(part) == sorted(positions(part))


def test_a_limit_keeps_a_rare_class_at_least_twice():
    assert counts(limited(numbered([1000, 3]), 10, seed=0)) == [8, 2]


@pytest.mark.parametrize("limit", [None, 30, 1000])
def test_no_limit_or_one_beyond_the_end_keeps_everything(limit):
    whole = numbered([15, 15])
    assert limited(whole, limit, seed=0) is whole


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (0, "at least 1; got 0"),
        (-3, "at least 1; got -3"),
        (5, "at least 6, two images for each of the 3 classes"),
    ],
)
def test_a_limit_too_small_is_refused(limit, told):
    with pytest.raises(InputError, match=f"data.limit must be {told}"):
        limited(numbered([10, 10, 10]), limit, seed=0)


def test_the_held_out_test_split_never_moves():
    train, test = held_out(np.arange(20) % 2, 0.2)
    assert test.tolist() == [5, 8, 12, 19]
    assert train.tolist() == [i for i in range(20) if i not in test]


@pytest.mark.parametrize("fraction", [0, 1, 0.99])
def test_holding_out_everything_or_nothing_is_refused(fraction):
    with pytest.raises(InputError, match=r"data.test_fraction must lie in"):
        held_out(np.array([0, 1, 0, 1]), fraction)
