import numpy as np
import pytest

from runback.classifier.data.dataset import MAX_CLASSES, Dataset, check_class_names
from runback.errors import DataError

NAMES = tuple("0123456789")


def images(n, shape=(4, 5, 3), dtype=np.uint8):
    return np.arange(n * int(np.prod(shape))).reshape(n, *shape).astype(dtype)


def test_a_label_out_of_range_is_named_with_its_row():
    labels = np.arange(10)
    labels[7] = 12
    with pytest.raises(DataError, match=r"^labels out of range: expected 0\.\.9; got 12 at row 7$"):
        Dataset(images(10), labels, NAMES)


def test_a_negative_label_is_out_of_range_and_further_ones_are_counted():
    with pytest.raises(DataError, match=r"got -1 at row 0 and 2 more$"):
        Dataset(images(3), np.full(3, -1), NAMES)


@pytest.mark.parametrize("wrong", [images(2, dtype=np.float32), images(2, (4, 5)), images(2, (4, 5, 2))])
def test_images_of_another_type_or_shape_are_refused(wrong):
    with pytest.raises(DataError, match="expected uint8 images of shape"):
        Dataset(wrong, np.zeros(2, np.int64), NAMES)


def test_no_images_at_all_are_refused():
    with pytest.raises(DataError, match="at least one image"):
        Dataset(images(0), np.zeros(0, np.int64), NAMES)


@pytest.mark.parametrize("labels", [np.zeros(3, np.int64), np.zeros(2, np.int32), np.zeros((2, 1), np.int64)])
def test_labels_that_do_not_match_the_images_are_refused(labels):
    with pytest.raises(DataError, match="expected one int64 label for each of the 2 images"):
        Dataset(images(2), labels, NAMES)


def test_one_class_is_refused():
    with pytest.raises(DataError, match="at least two classes; got 1"):
        Dataset(images(2), np.zeros(2, np.int64), ("cat",))


def test_a_class_name_given_twice_is_refused():
    with pytest.raises(DataError, match="got 'cat' more than once"):
        Dataset(images(2), np.zeros(2, np.int64), ("cat", "dog", "cat"))


@pytest.mark.parametrize("indices", [[2, 3, 4], [4, 1], [0], [-1, 0, 1]])
def test_taking_gives_the_images_and_labels_at_these_positions(indices):
    whole = Dataset(images(5), np.arange(5), NAMES)
    part = whole.take(np.array(indices))
    np.testing.assert_array_equal(part.images, whole.images[indices])
    np.testing.assert_array_equal(part.labels, whole.labels[indices])


def test_a_run_of_neighbours_is_not_copied():
    whole = Dataset(images(5), np.arange(5), NAMES)
    assert np.shares_memory(whole.take(np.arange(1, 4)).images, whole.images)


@pytest.mark.timeout(20)
def test_many_class_names_are_compared_at_once_and_too_many_are_refused():
    names = tuple(map(str, range(MAX_CLASSES)))
    check_class_names(names)
    with pytest.raises(DataError, match="expected at most 100,000 classes; got 100,001"):
        check_class_names((*names, "one more"))
