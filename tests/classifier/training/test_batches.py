from itertools import chain

import numpy as np
import pytest

from runback.classifier.data.dataset import Dataset
from runback.classifier.training.batches import (
    epoch_order,
    steps_per_epoch,
    training_batches,
    validation_batches,
)


def numbered(n: int) -> Dataset:
    """Return `n` images, each filled with its own number, which is also its label."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 2, 3, 1))
    return Dataset(np.ascontiguousarray(images), np.arange(n, dtype=np.int64), tuple(map(str, range(n))))


def labels_of(batches: object) -> list[list[int]]:
    return [labels.numpy().tolist() for _, labels in batches]  # type: ignore[attr-defined]


def test_every_epoch_holds_every_image_once_the_last_batch_being_smaller() -> None:
    batches = labels_of(training_batches(numbered(10), 4, seed=1, epochs=3))
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    for epoch in range(3):
        assert sorted(chain(*batches[3 * epoch : 3 * epoch + 3])) == list(range(10))


def test_each_epoch_has_an_order_of_its_own() -> None:
    batches = labels_of(training_batches(numbered(50), 50, seed=1, epochs=4))
    assert len({tuple(batch) for batch in batches}) == 4


def test_images_stay_bytes_and_keep_their_labels() -> None:
    for images, labels in training_batches(numbered(10), 4, seed=1, epochs=2):
        assert images.dtype == "uint8"
        np.testing.assert_array_equal(images[:, 1, 2, 0], labels)


def test_the_same_seed_repeats_the_order_and_another_changes_it() -> None:
    first, same, other = (
        labels_of(training_batches(numbered(50), 8, seed=seed, epochs=2)) for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_the_order_does_not_depend_on_the_batch_size() -> None:
    small, large = (
        list(chain(*labels_of(training_batches(numbered(50), size, seed=1, epochs=2)))) for size in (7, 32)
    )
    assert small == large


@pytest.mark.parametrize("start", [1, 2, 4])
def test_a_later_start_gives_the_later_batches_of_the_whole(start: int) -> None:
    whole = labels_of(training_batches(numbered(10), 4, seed=1, epochs=5))
    resumed = labels_of(training_batches(numbered(10), 4, seed=1, epochs=5, initial_epoch=start))
    assert resumed == whole[3 * start :]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_start_within_an_epoch_gives_the_rest_of_the_whole(step: int) -> None:
    whole = labels_of(training_batches(numbered(10), 4, seed=1, epochs=4))
    resumed = training_batches(numbered(10), 4, seed=1, epochs=4, initial_epoch=2, initial_step=step)
    assert labels_of(resumed) == whole[3 * 2 + step :]


def test_the_order_is_pinned_so_that_old_runs_can_be_trained_again() -> None:
    assert epoch_order(8, 42, 3).numpy().tolist() == [7, 3, 4, 0, 5, 1, 2, 6]


def test_read_only_images_are_fine() -> None:
    data = numbered(10)
    data.images.flags.writeable = False
    assert len(labels_of(training_batches(data, 4, seed=1, epochs=1))) == 3


def test_validation_comes_in_order_each_time() -> None:
    batches = validation_batches(numbered(10), 4)
    for _ in range(2):
        assert labels_of(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    for images, labels in batches:
        np.testing.assert_array_equal(images[:, 0, 0, 0], labels)


@pytest.mark.parametrize(("n", "batch_size", "steps"), [(10, 4, 3), (8, 4, 2), (3, 128, 1)])
def test_steps_count_the_smaller_last_batch(n: int, batch_size: int, steps: int) -> None:
    assert steps_per_epoch(n, batch_size) == steps
