import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.digits import load


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return load("train", cache=cache), load("test", cache=cache)


def test_there_are_1437_images_to_train_and_360_to_test(splits):
    train, test = splits
    assert train.images.shape == (1437, 8, 8, 1)
    assert test.images.shape == (360, 8, 8, 1)
    assert train.class_names == test.class_names == tuple("0123456789")


def test_every_digit_is_tested_in_its_proportion(splits):
    assert set(np.bincount(splits[1].labels)) <= {35, 36, 37}


def test_pixels_use_the_whole_range_of_a_byte(splits):
    assert splits[0].images.min() == 0
    assert splits[0].images.max() == 255


def test_both_splits_together_are_scikit_learns_images(splits):
    ours = np.concatenate([split.images for split in splits])[..., 0]
    theirs = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    assert sorted(image.tobytes() for image in ours) == sorted(image.tobytes() for image in theirs)


def test_the_splits_never_change(splits):
    assert [content_hash(split)[:16] for split in splits] == ["e31e39317b132766", "010a33a57b539b97"]


def test_a_cached_load_does_not_import_scikit_learn(tmp_path):
    load("train", cache=tmp_path)
    script = (
        "import sys; from pathlib import Path; from runback.classifier.data.digits import load;"
        "load('train', cache=Path(sys.argv[1])); print('sklearn' in sys.modules, 'tensorflow' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False False\n"
