"""What is told from errors, last words, and the kernel's counts of the processes that it killed."""

import errno
import os

import pytest

from runback.sweeping.trials import out_of_memory
from runback.sweeping.trials.out_of_memory import OomCounter, complaint, is_out_of_memory


class ResourceExhaustedError(Exception):
    """As TensorFlow's, which is told by its name."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ResourceExhaustedError("OOM when allocating tensor"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        RuntimeError("can't start new thread"),
    ],
)
def test_errors_about_memory_are_told_also_as_causes(error):
    assert is_out_of_memory(error)
    around = ValueError("cannot build the model")
    around.__cause__ = error
    assert is_out_of_memory(around)


@pytest.mark.parametrize("error", [None, ValueError("out of memory"), OSError(errno.ENOENT, "no file")])
def test_other_errors_are_not_about_memory(error):
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "line",
    [
        "  what():  std::bad_alloc",
        "LLVM ERROR: pthread_create failed: Resource temporarily unavailable",
        "F0000 env.cc:84] Check failed: ret == 0 (11 vs. 0) Thread x creation via pthread_create() failed.",
        "[low_level_alloc.cc : 599] RAW: mmap error: 12",
    ],
)
def test_a_crash_for_want_of_memory_explains_itself_at_the_end(tmp_path, line):
    log = tmp_path / "output.log"
    log.write_text(f"epoch 1\n{line}\n" + "    @ 0x7f7615f39aef  frame\n" * 40)
    assert complaint(log, 0) == line.strip()
    assert complaint(log, log.stat().st_size) is None  # an earlier attempt's


def test_other_last_words_and_no_words_are_no_complaint(tmp_path):
    log = tmp_path / "output.log"
    assert complaint(log, 0) is None
    log.write_text("free(): invalid pointer\n")
    assert complaint(log, 0) is None


@pytest.mark.skipif(not os.path.exists("/proc/self/cgroup"), reason="there are cgroups on Linux only")  # noqa: PTH110
def test_a_process_has_a_counter_that_can_be_read():
    counter = OomCounter.of(os.getpid())
    assert counter.file.is_file()
    assert counter.read() >= 0


def test_without_any_count_nothing_was_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(out_of_memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(out_of_memory, "VMSTAT", tmp_path / "vmstat")
    assert OomCounter.of(os.getpid()).read() == 0
