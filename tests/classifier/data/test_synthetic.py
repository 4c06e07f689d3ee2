import numpy as np
import pytest

from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.synthetic import load
from runback.errors import InputError
from runback.system.config.targets import build


def test_the_knobs_set_the_shape(cache):
    knobs = {"num_classes": 3, "n_train": 31, "n_test": 10, "height": 5, "width": 7, "channels": 3}
    assert load("train", cache=cache, **knobs).images.shape == (31, 5, 7, 3)
    test = load("test", cache=cache, **knobs)
    assert test.images.shape == (10, 5, 7, 3)
    assert test.class_names == ("pattern_0", "pattern_1", "pattern_2")


def test_the_same_arguments_give_the_same_images_and_another_seed_others(cache):
    hashes = [content_hash(load("train", cache=cache, seed=seed)) for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_splits_differ(cache):
    train, test = load("train", cache=cache, n_train=64, n_test=64), load("test", cache=cache, n_test=64)
    assert content_hash(train) != content_hash(test)


def test_classes_are_equal_in_number(cache):
    assert np.bincount(load("train", cache=cache).labels).tolist() == [128] * 4


def test_the_nearest_class_mean_tells_the_classes_apart(cache):
    train, test = load("train", cache=cache), load("test", cache=cache)
    means = np.stack([train.images[train.labels == label].mean(axis=0) for label in range(4)])
    distances = ((test.images[:, np.newaxis].astype(float) - means) ** 2).sum(axis=(2, 3, 4))
    assert (distances.argmin(axis=1) == test.labels).mean() > 0.95


@pytest.mark.parametrize(
    ("knob", "value"), [("channels", 2), ("num_classes", 1), ("n_train", 0), ("height", "x")]
)
def test_a_knob_out_of_range_is_named(cache, knob, value):
    with pytest.raises(InputError, match=f"data.{knob}: "):
        build(
            {"_target_": "runback.classifier.data.synthetic.load", knob: value},
            where="data",
            split="train",
            cache=cache,
        )


@pytest.mark.parametrize(
    "knobs", [{"n_train": 10**12}, {"height": 30_000, "width": 30_000}, {"num_classes": 10**10}]
)
def test_more_than_fits_into_memory_is_refused(cache, knobs):
    with pytest.raises(InputError, match="of at most 536,870,912 values together"):
        build(
            {"_target_": "runback.classifier.data.synthetic.load", **knobs},
            where="data",
            split="train",
            cache=cache,
        )
