import errno
import io
import json
import logging
import math
import os
import resource
import tracemalloc
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from runback.errors import InputError
from runback.runs.checkpoint import Checkpoint, Variable, discard, load_newest, save

STOPPING = {"wait": 1, "best": 0.1 + 0.2, "best_epoch": 0, "stopped_epoch": 0}


def checkpoint(epoch: int = 1, step: int = 0, columns: int = 3) -> Checkpoint:
    weights = np.arange(2 * columns, dtype=np.float32).reshape(2, columns) / 7 + epoch
    return Checkpoint(
        epoch,
        step,
        [{"loss": 1 / 3, "val_loss": math.inf}] * epoch,
        {
            "model": [Variable("dense/kernel", weights), Variable("seed", np.array([7, -1], np.int64))],
            "optimizer": [Variable("sgd/iteration", np.array(5, np.int64))],
        },
        stopping=STOPPING,
    )


def same(first: Checkpoint, second: Checkpoint) -> bool:
    def bits(one: Checkpoint) -> object:
        groups = {
            name: [(path, value.dtype, value.shape, value.tobytes()) for path, value in variables]
            for name, variables in one.variables.items()
        }
        rows = [{name: value.hex() for name, value in row.items()} for row in one.history]
        return one.epoch, one.step, rows, groups, one.stopping, one.time, one.seconds, one.learning_rate.hex()

    return bits(first) == bits(second)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    odd = np.array([0.1, -0.0, np.nan, np.inf, 3e-38], np.float32)
    saved = Checkpoint(
        2,
        7,
        [{"loss": 0.1 + 0.2, "val_loss": math.nan}, {"loss": math.inf, "val_loss": 5e-324}],
        {
            "model": [
                Variable("a/kernel", odd.astype(ml_dtypes.bfloat16)),
                Variable("a/scale", np.array(1.5, ml_dtypes.bfloat16)),
                Variable("a/half", odd.astype(np.float16)),
                Variable("a/empty", np.zeros((0, 3), np.float32)),
                Variable("seed", np.array([2**40, -1], np.int64)),
            ],
            "metrics": [Variable("loss/total", odd[::2].copy())],
        },
        learning_rate=1 / 3,
        seconds=0.7,
        stopping={"wait": 0, "best": None, "best_epoch": 0, "stopped_epoch": 0},
    )
    path = save(tmp_path, saved)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert same(loaded, saved)
    assert loaded.path == path == tmp_path / "checkpoint-00002-0000007.npz"


def test_numpy_opens_it(tmp_path: Path) -> None:
    with np.load(save(tmp_path, checkpoint()), allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["model.0000"], checkpoint().variables["model"][0].value)
        assert json.loads(archive["state.json"])["format"] == "runback-checkpoint-1"


def test_the_last_two_are_kept_and_what_was_left_behind_goes(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-00009-0000000.npz.partial").write_bytes(b"half")
    (tmp_path / "metrics.jsonl").write_text("not ours")
    newest = None
    for epoch in (1, 2, 3):
        newest = save(tmp_path, checkpoint(epoch), keep=newest)
    assert names(tmp_path) == [
        "checkpoint-00002-0000000.npz",
        "checkpoint-00003-0000000.npz",
        "metrics.jsonl",
    ]


def test_what_a_killed_process_left_goes_before_the_next_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".0a1b2c3d.checkpoint-00001-0000000.npz.partial"
    left.write_bytes(b"half")

    def full(*_: object) -> None:
        assert not left.exists()
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("runback.runs.checkpoint._write", full)
    with pytest.raises(OSError, match="no space left"):
        save(tmp_path, checkpoint(2))
    assert names(tmp_path) == []


def test_a_damaged_one_does_not_count_as_one_of_the_last_two(tmp_path: Path) -> None:
    good = save(tmp_path, checkpoint(5))
    (tmp_path / "checkpoint-00005-0000030.npz").write_bytes(b"damaged")
    newest = save(tmp_path, checkpoint(5, 20), keep=good)  # resumed from the good one, stopped earlier
    assert names(tmp_path) == [good.name, newest.name]


def test_the_newest_is_the_one_furthest_in_training(tmp_path: Path) -> None:
    first = save(tmp_path, checkpoint(100_000, 3))
    save(tmp_path, checkpoint(99_999, 500), keep=first)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert (loaded.epoch, loaded.step) == (100_000, 3)


def test_where_there_is_none_there_is_none(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint-00001-0000000.npz.partial").write_bytes(b"half")
    (tmp_path / "checkpoint-best.npz").write_bytes(b"somebody else's")
    assert load_newest(tmp_path) is None
    assert load_newest(tmp_path / "missing") is None


def two(folder: Path) -> tuple[Path, Path]:
    before = save(folder, checkpoint(1))
    return before, save(folder, checkpoint(2), keep=before)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_torn_one_gives_way_to_the_one_before_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, part: float
) -> None:
    before, newest = two(tmp_path)
    content = newest.read_bytes()
    newest.write_bytes(content[: int(part * len(content))])
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert same(loaded, Checkpoint(**{**vars(checkpoint(1)), "time": loaded.time}))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"checkpoint {newest} cannot be used (" in record.getMessage()
    assert record.getMessage().endswith(f"): falling back to the one before, {before.name}")
    assert "\n" not in record.getMessage()


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    weights = {"model": [Variable("kernel", np.ones(2, np.float32))]}
    before = save(tmp_path, Checkpoint(1, 0, [], weights))
    newest = save(tmp_path, Checkpoint(2, 0, [{"loss": 0.5}], weights), keep=before)
    whole = load_newest(tmp_path)
    assert whole is not None
    content = newest.read_bytes()
    fallen_back = 0
    for index in range(len(content)):
        newest.write_bytes(
            content[:index] + bytes([content[index] ^ (1 << index % 8)]) + content[index + 1 :]
        )
        loaded = load_newest(tmp_path)
        assert loaded is not None
        fallen_back += loaded.path == before
        assert loaded.path == before or same(loaded, whole)  # a date in the zip's directory may differ
    assert fallen_back > len(content) / 2


@pytest.mark.parametrize("state", ["[]", "{}", '{"format": "runback-checkpoint-2"}', "not JSON"])
def test_a_foreign_one_gives_way(tmp_path: Path, state: str, caplog: pytest.LogCaptureFixture) -> None:
    before = save(tmp_path, checkpoint(1))
    with zipfile.ZipFile(tmp_path / "checkpoint-00002-0000000.npz", "w") as archive:
        archive.writestr("state.json", state)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.path == before
    assert len(caplog.records) == 1


def test_one_with_pickled_objects_is_not_opened(tmp_path: Path) -> None:
    newest = save(tmp_path, checkpoint(1))
    with zipfile.ZipFile(newest) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(newest, "w") as archive:
        for name, content in members.items():
            if name == "model.0000.npy":
                with archive.open(name, "w") as member:
                    np.lib.format.write_array(member, np.array([{}]), allow_pickle=True)
            else:
                archive.writestr(name, content)
    with pytest.raises(InputError):
        load_newest(tmp_path)


def rewritten(path: Path, changed: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """Put other members into a checkpoint, or in the place of its own."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changed
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def header_of(*shape: int) -> bytes:
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def twice_as_large(path: Path) -> None:
    """Let the directory say of a member that it is as large as the file."""
    content = bytearray(path.read_bytes())
    size = len(content).to_bytes(4, "little")
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = size + size
    path.write_bytes(content)


BOMBS = {
    "compressed": lambda path: rewritten(path, {"x": bytes(300 * 2**20)}, zipfile.ZIP_DEFLATED),
    "larger than its file": twice_as_large,
    "an endless state": lambda path: rewritten(path, {"state.json": b"[" + b"[]," * (100 * 2**20 // 3)}),
    "a shape of much more": lambda path: rewritten(path, {"model.0000.npy": header_of(2**28) + bytes(99)}),
    "a shape of far more": lambda path: rewritten(path, {"model.0000.npy": header_of(2**62, 4) + bytes(99)}),
    "a shape of less than none": lambda path: rewritten(
        path, {"model.0000.npy": header_of(-1, -1) + bytes(4)}
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_one_that_would_take_far_more_memory_than_its_file_gives_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bomb: str
) -> None:
    before, newest = two(tmp_path)
    BOMBS[bomb](newest)
    tracemalloc.start()
    try:
        loaded = load_newest(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert loaded is not None
    assert loaded.path == before
    assert len(caplog.records) == 1
    assert peak < 20 * 2**20


def test_what_the_state_does_not_list_is_not_read(tmp_path: Path) -> None:
    newest = save(tmp_path, checkpoint(1))
    rewritten(newest, {"x": bytes(100 * 2**20)})
    tracemalloc.start()
    try:
        assert load_newest(tmp_path) is not None
        assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    finally:
        tracemalloc.stop()


def test_when_all_are_damaged_it_is_an_error_of_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for path in two(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(InputError) as caught:
        load_newest(tmp_path)
    assert str(caught.value) == (
        f"all checkpoints in {tmp_path} are damaged (checkpoint-00002-0000000.npz, "
        "checkpoint-00001-0000000.npz): train from the start again"
    )
    assert caplog.records[-1].getMessage().endswith("there is none before it")


def test_a_file_too_large_leaves_what_there_was(tmp_path: Path) -> None:
    before, newest = two(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            save(tmp_path, checkpoint(3, columns=1000), keep=newest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == [before.name, newest.name]


def test_a_disk_that_is_full_only_when_flushed_leaves_what_there_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, newest = two(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(tmp_path, checkpoint(3), keep=newest)
    assert names(tmp_path) == [before.name, newest.name]


def test_a_finished_training_leaves_no_checkpoint(tmp_path):
    save(tmp_path, checkpoint())
    (tmp_path / "metrics.jsonl").touch()
    discard(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_pipe_in_the_place_of_a_checkpoint_is_passed_over(tmp_path, caplog):
    whole = save(tmp_path, checkpoint(epoch=1))
    os.mkfifo(tmp_path / whole.name.replace("00001", "00002"))
    assert load_newest(tmp_path).path == whole
    assert "it is no ordinary file" in caplog.text
