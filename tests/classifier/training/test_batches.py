import json
import os
import subprocess
import sys
from itertools import chain

import keras
import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.training import batches as batches_module
from runback.classifier.training.batches import (
    images_before,
    pass_order,
    steps_per_pass,
    training_batches,
    validation_batches,
)
from runback.classifier.training.fit import compile_model, fit
from runback.errors import DataError


def numbered(n: int) -> Dataset:
    """Return `n` images, each filled with its own number, which is also its label."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 3, 1))
    return Dataset(np.ascontiguousarray(images), np.arange(n, dtype=np.int64), tuple(map(str, range(n))))


def labels_of(batches: object) -> list[list[int]]:
    return [labels.numpy().tolist() for _, labels in batches]  # type: ignore[attr-defined]


def test_every_pass_holds_every_image_once_the_last_batch_being_smaller() -> None:
    batches = labels_of(training_batches(numbered(10), 4, seed=1, steps=9))
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    for first in (0, 3, 6):
        assert sorted(chain(*batches[first : first + 3])) == list(range(10))


def test_each_pass_has_an_order_of_its_own() -> None:
    batches = labels_of(training_batches(numbered(50), 50, seed=1, steps=4))
    assert len({tuple(batch) for batch in batches}) == 4


def test_images_stay_bytes_and_keep_their_labels() -> None:
    for images, labels in training_batches(numbered(10), 4, seed=1, steps=6):
        assert images.dtype == "uint8"
        np.testing.assert_array_equal(images[:, 1, 2, 0], labels)


def test_the_same_seed_repeats_the_order_and_another_changes_it() -> None:
    first, same, other = (
        labels_of(training_batches(numbered(50), 8, seed=seed, steps=14)) for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_the_order_does_not_depend_on_the_batch_size() -> None:
    small, large = (
        list(chain(*labels_of(training_batches(numbered(50), size, seed=1, steps=steps))))
        for size, steps in ((7, 16), (32, 4))
    )
    assert small == large


@pytest.mark.parametrize("start", [1, 2, 4])
def test_a_later_start_gives_the_later_batches_of_the_whole(start: int) -> None:
    whole = labels_of(training_batches(numbered(10), 4, seed=1, steps=15))
    resumed = labels_of(training_batches(numbered(10), 4, seed=1, steps=15, initial_step=3 * start))
    assert resumed == whole[3 * start :]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_start_within_a_pass_gives_the_rest_of_the_whole(step: int) -> None:
    whole = labels_of(training_batches(numbered(10), 4, seed=1, steps=12))
    resumed = training_batches(numbered(10), 4, seed=1, steps=12, initial_step=3 * 2 + step)
    assert labels_of(resumed) == whole[3 * 2 + step :]


def test_the_order_is_pinned_so_that_old_runs_can_be_trained_again() -> None:
    assert pass_order(8, 42, 3).numpy().tolist() == [7, 3, 4, 0, 5, 1, 2, 6]


def test_read_only_images_are_fine() -> None:
    data = numbered(10)
    data.images.flags.writeable = False
    assert len(labels_of(training_batches(data, 4, seed=1, steps=3))) == 3


def test_validation_comes_in_order_each_time() -> None:
    batches = validation_batches(numbered(10), 4)
    for _ in range(2):
        assert labels_of(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(10, 4, 3), (8, 4, 2), (3, 128, 1)])
def test_steps_count_the_smaller_last_batch(n: int, batch_size: int, steps: int) -> None:
    assert steps_per_pass(n, batch_size) == steps


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_an_end_within_a_pass_cuts_the_whole(steps: int) -> None:
    whole = labels_of(training_batches(numbered(10), 4, seed=1, steps=9))
    assert labels_of(training_batches(numbered(10), 4, seed=1, steps=steps)) == whole[:steps]
    assert images_before(steps, 10, 4) == len([*chain(*whole[:steps])])


@pytest.fixture(params=["in memory", "mapped", "drawn from a file"])
def large(request, tmp_path, monkeypatch) -> Dataset:
    """Return 50 numbered images that count as too many for memory."""
    monkeypatch.setattr(batches_module, "SMALL", 10)
    whole = numbered(60)
    if request.param != "in memory":
        np.save(tmp_path / "images.npy", whole.images)
        mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
        whole = Dataset(mapped, whole.labels, whole.class_names)
    return whole.take(np.arange(50) + (request.param == "drawn from a file") * (np.arange(50) > 20))


def test_a_large_set_has_the_batches_of_a_small_one(large: Dataset, monkeypatch) -> None:
    small = Dataset(np.array(large.images), large.labels, large.class_names)
    with monkeypatch.context() as patch:
        patch.setattr(batches_module, "SMALL", 10**6)
        expected = list(training_batches(small, 8, seed=3, steps=21, initial_step=9))
    found = list(training_batches(large, 8, seed=3, steps=21, initial_step=9))
    assert len(found) == len(expected) == 12
    for (images, labels), (same_images, same_labels) in zip(found, expected, strict=True):
        assert images.dtype == "uint8"
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(labels, same_labels)


def test_a_large_set_is_validated_in_order(large: Dataset) -> None:
    batches = validation_batches(large, 8)
    assert batches.element_spec[0].shape.as_list() == [None, 2, 3, 1]
    for _ in range(2):
        assert list(chain(*labels_of(batches))) == large.labels.tolist()
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


def test_a_file_that_is_cut_short_while_it_is_trained_on_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(batches_module, "SMALL", 10)
    np.save(tmp_path / "images.npy", numbered(60).images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    data = Dataset(mapped, np.arange(60) % 2, ("even", "odd")).take(np.arange(60)[::-1])
    layers = [keras.Input((2, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    model = compile_model(keras.Sequential(layers), None, keras.optimizers.SGD())
    epochs: list[int] = []

    def cut(epoch: int, metrics: dict[str, float]) -> None:
        epochs.append(epoch)
        os.truncate(tmp_path / "images.npy", 300)

    with pytest.raises(
        DataError, match=r"images\.npy: expected an image at byte \d+; the file ends before it"
    ):
        fit(model, data, data, epochs=9, batch_size=8, seed=0, on_epoch=cut)
    assert epochs == [1]
    with pytest.raises(DataError, match="the file ends before it"):
        predict_answers(model, data)


TRAINS_ON_A_FILE = """
import json, sys
import numpy as np
import keras
from runback.classifier.data.dataset import Dataset
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.array_origin import with_origin
from runback.classifier.data.split import split
from runback.classifier.evaluation.answers import predict_answers
from runback.classifier.training.fit import compile_model, fit
from runback.classifier.training.predictions import ValidationPredictions

def private():  # MB
    sizes = [line.split() for line in open("/proc/self/smaps_rollup")]
    return sum(int(size[1]) for size in sizes if size[0].startswith("Private_")) / 1024

images = np.load(sys.argv[1], mmap_mode="r")
labels = np.arange(len(images)) % 2
layers = keras.layers
body = [layers.MaxPooling2D(32), layers.Flatten(), layers.Dense(2, activation="softmax")]
network = keras.Sequential([keras.Input(images.shape[1:]), *body])
memory = {"before": private()}
test = Dataset(images, labels, ("a", "b"))
whole = with_origin(test, test.take(np.arange(4)), "a file")
knobs = {"validation_fraction": 0.5, "validation_split": "stratified", "validation_seed": 1}
parts = split(whole, limit=len(whole) - 7, **knobs)
[content_hash(one) for one in parts]
model = compile_model(network, None, keras.optimizers.SGD())
predictions = ValidationPredictions(model, parts[1], 32)
seen = []
with predictions.keeping():
    fit(model, *parts, epochs=1, batch_size=32, seed=0, on_epoch=lambda *_: seen.append(private()))
predictions.current()
predict_answers(network, test)
print(json.dumps({**memory, "while it trained": seen[0], "after": private()}))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_training_does_not_hold_its_data(tmp_path) -> None:
    file = tmp_path / "images.npy"
    shape = (40_000, 64, 64, 3)  # 492 MB, of which the disk holds nothing
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with file.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.truncate(stream.tell() + int(np.prod(shape)))
    command = [sys.executable, "-c", TRAINS_ON_A_FILE, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    memory = json.loads(done.stdout.splitlines()[-1])
    assert memory["while it trained"] < memory["before"] + 200
    assert memory["after"] < memory["before"] + 200
