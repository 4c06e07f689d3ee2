import shutil
import socket

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runback.classifier.data.cifar10 import load
from runback.classifier.data.dataset_hash import content_hash
from runback.classifier.data.reading.duplicates import TRAIN_IN_TEST, duplicates
from runback.classifier.data.reading.reading_report import Case
from runback.errors import DataError, InputError
from runback.system.config.targets import build


@pytest.fixture
def folder(cifar_batches, tmp_path):
    """The unpacked archive."""
    batches = tmp_path / "unpacked" / "cifar-10-batches-bin"
    batches.mkdir(parents=True)
    for name, content in cifar_batches.items():
        (batches / name).write_bytes(content)
    return batches.parent


@pytest.fixture
def tables(tmp_path, encoded):
    """Parquet files in the layout of data set hubs: 12 training and 4 test images."""
    for split, n in {"train": 12, "test": 4}.items():
        images = [{"bytes": encoded((i, 0, 0), (32, 32)), "path": None} for i in range(n)]
        pq.write_table(
            pa.table({"img": images, "label": [i % 10 for i in range(n)]}), tmp_path / f"{split}.parquet"
        )
    return tmp_path


def test_the_archive_its_folder_and_the_batches_give_the_same_images(folder, cifar_archive, cache):
    paths = [cifar_archive, cifar_archive.parent, folder, folder / "cifar-10-batches-bin"]
    hashes = {content_hash(load("train", cache=cache, path=path)) for path in paths}
    assert len(hashes) == 1


def test_what_the_test_split_lacks_is_found_before_training(folder, cache):
    (folder / "cifar-10-batches-bin" / "test_batch.bin").unlink()
    for split in ("train", "test"):
        with pytest.raises(DataError, match=r"expected test_batch.bin beside the others"):
            load(split, cache=cache, path=folder)


def test_a_test_split_needs_only_its_own_batches(folder, cache):
    (folder / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    assert len(load("test", cache=cache, path=folder)) == 20


def test_a_test_table_that_cannot_be_read_is_found_before_training(tables, cache):
    (tables / "test.parquet").write_bytes(b"not to be read")
    with pytest.raises(DataError, match=r"test.parquet: not a readable parquet file"):
        load("train", cache=cache, path=tables)


def test_its_test_images_are_counted_and_looked_up_among_the_training_images(tables, cache):
    train = load("train", cache=cache, path=tables)
    assert train.images[:, 5, 5, 0].tolist() == list(range(12))
    assert train.class_names[3] == "cat"
    assert sum(train.origin.report.test_counts) == 4
    validation = train.take(np.arange(10, 12))
    found = duplicates(train.take(np.arange(10)), validation)
    assert found[TRAIN_IN_TEST] == Case(4, "train.parquet row 0")


def test_the_environment_names_the_folder_and_the_path_comes_first(tables, folder, cache, monkeypatch):
    monkeypatch.setenv("RUNBACK_CIFAR10", str(tables))
    assert len(load("test", cache=cache)) == 4
    assert len(load("test", cache=cache, path=folder)) == 20


def test_a_relative_path_starts_at_the_working_directory(tables, cache, monkeypatch):
    monkeypatch.chdir(tables)
    monkeypatch.setenv("RUNBACK_CIFAR10", ".")
    assert len(load("test", cache=cache)) == 4


def test_a_changed_source_is_decoded_again(tables, cache):
    before = load("test", cache=cache, path=tables)
    shutil.copy(tables / "train.parquet", tables / "test.parquet")
    assert (len(before), len(load("test", cache=cache, path=tables))) == (4, 12)


def test_without_a_path_the_archive_is_downloaded_once_for_both_splits(
    server, cifar_archive, cifar_sha256, cache
):
    knobs = {"url": f"{server.url}/{cifar_archive.name}", "sha256": cifar_sha256}
    sizes = [len(load(split, cache=cache, **knobs)) for split in ("train", "test", "train")]
    assert sizes == [100, 20, 100]
    assert server.requests == ["/cifar-10-binary.tar.gz"]


def test_decoded_images_need_neither_archive_nor_network(server, cifar_archive, cifar_sha256, cache):
    first = load("test", cache=cache, url=f"{server.url}/{cifar_archive.name}", sha256=cifar_sha256)
    (cache / cifar_archive.name).unlink()
    again = load("test", cache=cache, url="http://127.0.0.1:9/none", sha256=cifar_sha256)
    assert content_hash(again) == content_hash(first)


def test_no_network_says_what_to_set(cache):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/cifar-10-binary.tar.gz"
        with pytest.raises(DataError) as told:
            load("train", cache=cache, url=url)
    assert "set data.path or $RUNBACK_CIFAR10 to cifar-10-binary.tar.gz" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "got"), [("", "without these"), ("missing", "missing, which does not exist")]
)
def test_a_path_without_the_images_says_what_was_expected(tmp_path, cache, name, got):
    with pytest.raises(DataError, match=rf"^data.path or \$RUNBACK_CIFAR10: expected a folder with .*{got}$"):
        load("train", cache=cache, path=tmp_path / name)


def test_images_of_another_size_are_refused(tables, cache, encoded):
    images = [{"bytes": encoded((0, 0, 0), (28, 28)), "path": None}] * 2
    pq.write_table(pa.table({"img": images, "label": [0, 1]}), tables / "train.parquet")
    with pytest.raises(DataError, match="expected images of 32 x 32 pixels; got 28 x 28"):
        load("train", cache=cache, path=tables)


def test_a_malformed_hash_is_named(cache):
    with pytest.raises(InputError, match=r"data.sha256: "):
        build(
            {"_target_": "runback.classifier.data.cifar10.load", "sha256": "abc"},
            where="data",
            split="train",
            cache=cache,
        )


def test_the_real_test_images_load_through_the_config(real_cifar10, cache):
    spec = {"_target_": "runback.classifier.data.cifar10.load", "path": str(real_cifar10)}
    dataset = build(spec, where="data", split="test", cache=cache)
    assert dataset.images.shape == (10_000, 32, 32, 3)
    assert np.bincount(dataset.labels).tolist() == [1000] * 10
    assert [dataset.class_names[label] for label in dataset.labels[:4]] == ["cat", "ship", "ship", "airplane"]
    assert isinstance(dataset.images, np.memmap)
