import gzip
import io
import tarfile

import numpy as np
import pytest

from runback.classifier.data.cifar10_binary import from_archive, from_folder
from runback.errors import DataError


def images(decoding):
    return np.concatenate(list(decoding.blocks))


@pytest.fixture
def folder(cifar_batches, tmp_path):
    for name, content in cifar_batches.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_a_record_is_a_label_then_a_red_a_green_and_a_blue_plane(folder):
    record = np.zeros(3073, np.uint8)
    record[0] = 7
    record[1 + 1] = 200  # red, row 0, column 1
    record[1 + 1024 + 32] = 100  # green, row 1, column 0
    record[1 + 2048 + 1023] = 50  # blue, row 31, column 31
    (folder / "test_batch.bin").write_bytes(record.tobytes())
    decoding = from_folder(folder, "test")
    image = images(decoding)[0]
    assert decoding.labels.tolist() == [7]
    assert image[0, 1].tolist() == [200, 0, 0]
    assert image[1, 0].tolist() == [0, 100, 0]
    assert image[31, 31].tolist() == [0, 0, 50]
    assert image.sum() == 350


def test_training_takes_the_five_batches_in_their_order(folder, cifar_batches):
    decoding = from_folder(folder, "train")
    assert decoding.labels.tolist() == [*range(10)] * 10
    last = np.frombuffer(cifar_batches["data_batch_5.bin"], np.uint8).reshape(20, 3073)[-1]
    np.testing.assert_array_equal(images(decoding)[-1].transpose(2, 0, 1).ravel(), last[1:])


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_archive_and_the_folder_hold_the_same(folder, cifar_archive, split):
    unpacked, packed = from_folder(folder, split), from_archive(cifar_archive, split)
    np.testing.assert_array_equal(images(packed), images(unpacked))
    np.testing.assert_array_equal(packed.labels, unpacked.labels)


def test_members_of_the_archive_may_come_in_any_order(cifar_batches, cifar_archive, tmp_path):
    shuffled = tmp_path / "shuffled.tar.gz"
    with tarfile.open(shuffled, "w:gz") as tar:
        for name in reversed(cifar_batches):
            member = tarfile.TarInfo(name)
            member.size = len(cifar_batches[name])
            tar.addfile(member, io.BytesIO(cifar_batches[name]))
    np.testing.assert_array_equal(
        images(from_archive(shuffled, "train")), images(from_archive(cifar_archive, "train"))
    )


def test_a_label_out_of_range_names_file_and_row(folder, cifar_batches):
    batch = bytearray(cifar_batches["data_batch_3.bin"])
    batch[3073 * 4] = 12
    (folder / "data_batch_3.bin").write_bytes(batch)
    with pytest.raises(
        DataError, match=r"data_batch_3.bin: labels out of range: expected 0..9; got 12 at row 4"
    ):
        from_folder(folder, "train")


def test_a_truncated_batch_is_named(folder, cifar_batches):
    (folder / "data_batch_2.bin").write_bytes(cifar_batches["data_batch_2.bin"][:-1])
    with pytest.raises(DataError, match=r"data_batch_2.bin: expected records of 3073 bytes; got 61459 bytes"):
        from_folder(folder, "train")


def test_a_truncated_archive_is_named(cifar_archive, tmp_path):
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(cifar_archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"cut.tar.gz: not a readable .tar.gz archive: "):
        from_archive(cut, "train")


def test_an_archive_with_one_wrong_byte_is_refused(cifar_archive, tmp_path):
    """Also where unpacking succeeds: stored uncompressed, only the checksum at the end can tell."""
    with gzip.open(cifar_archive) as stream:
        content = gzip.compress(stream.read(), compresslevel=0)
    wrong = bytearray(content)
    wrong[len(wrong) // 2] ^= 1
    (tmp_path / "wrong.tar.gz").write_bytes(wrong)
    with pytest.raises(DataError, match="CRC"):
        from_archive(tmp_path / "wrong.tar.gz", "train")


def test_an_archive_without_a_batch_names_it(tmp_path):
    with tarfile.open(tmp_path / "empty.tar.gz", "w:gz"):
        pass
    with pytest.raises(DataError, match=r"expected cifar-10-batches-bin/test_batch.bin in it; got none"):
        from_archive(tmp_path / "empty.tar.gz", "test")


def test_a_batch_of_holes_is_refused_unread(tmp_path):
    batches = tmp_path / "cifar-10-batches-bin"
    batches.mkdir()
    with (batches / "test_batch.bin").open("wb") as file:
        file.truncate(2**36)
    with pytest.raises(DataError, match=r"test_batch.bin: expected at most .* bytes; got 68,719,476,736"):
        from_folder(batches, "test")


def test_a_member_of_holes_is_refused_unread(tmp_path):
    member = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    member.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**36)}
    content = f"1\n{2**36}\n0\n".encode().ljust(512, b"\0")
    member.size = len(content)
    with tarfile.open(tmp_path / "holes.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    with pytest.raises(DataError, match=r"test_batch.bin: expected at most .* bytes; got 68,719,476,736"):
        from_archive(tmp_path / "holes.tar.gz", "test")
