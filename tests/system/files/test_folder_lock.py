import os
import signal
import subprocess
import sys

import pytest

from runback.errors import InputError, StoreError
from runback.system.files.folder_lock import LOCK, alone_in, alone_with, is_held

HOLD = """
import sys, time
from pathlib import Path
from runback.system.files.folder_lock import alone_in

with alone_in(Path(sys.argv[1]), "sweep quick"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Start a process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "held")], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_held_folder_is_refused_with_the_process_that_holds_it(tmp_path, holder):
    with (
        pytest.raises(InputError, match=rf"sweep quick is already running \(process {holder.pid}\)"),
        alone_in(tmp_path / "held", "sweep quick"),
    ):
        pytest.fail("two processes hold one folder")


def test_a_killed_process_holds_no_folder(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with alone_in(tmp_path / "held", "sweep quick"):
        assert (tmp_path / "held" / LOCK).read_text() == f"{os.getpid()}\n"


def test_a_folder_is_free_again_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(KeyError), alone_in(tmp_path / "new" / "folder", "it"):
            raise KeyError
    assert (tmp_path / "new" / "folder").is_dir()


def test_a_refused_process_leaves_the_holders_number(tmp_path):
    with alone_in(tmp_path, "it"):
        for _ in range(2):
            with pytest.raises(InputError, match=str(os.getpid())), alone_in(tmp_path, "it"):
                pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write to"), alone_in(tmp_path / "file" / "folder", "it"):
        pass


ON_A_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from runback.system.files.folder_lock import alone_in

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with alone_in(Path(sys.argv[1]), "it"):
    print("held")
"""


def test_a_full_disk_can_still_be_locked(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "held\n"), done.stderr


def test_a_held_folder_is_told_without_a_trace(tmp_path, holder):
    trial = tmp_path / "held" / "3"
    trial.mkdir()
    (tmp_path / "free").mkdir()
    before = (tmp_path / "held" / LOCK).read_bytes()
    assert is_held(tmp_path / "held", tmp_path)
    assert is_held(trial, tmp_path)
    assert is_held(tmp_path, tmp_path.parent)
    assert not is_held(trial, tmp_path / "held")
    assert not is_held(tmp_path / "free", tmp_path)
    assert not is_held(tmp_path / "gone", tmp_path)
    assert (tmp_path / "held" / LOCK).read_bytes() == before
    assert list((tmp_path / "free").iterdir()) == []
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not is_held(trial, tmp_path)


def test_a_trial_is_not_taken_from_under_its_sweep(tmp_path, holder):
    trial = tmp_path / "held" / "3"
    trial.mkdir()
    with (
        pytest.raises(InputError, match="trial 3 is already running"),
        alone_with(trial, tmp_path, "trial 3"),
    ):
        pytest.fail("the sweep holds it")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with alone_with(trial, tmp_path, "trial 3"):
        assert is_held(tmp_path / "held", tmp_path)
        assert is_held(trial, tmp_path / "held")
    assert not is_held(trial, tmp_path)


def test_a_pipe_in_the_place_of_a_lock_is_told_at_once(tmp_path):
    os.mkfifo(tmp_path / LOCK)
    assert not is_held(tmp_path, tmp_path.parent)
    with pytest.raises(StoreError, match="it is no ordinary file"), alone_in(tmp_path, "it"):
        pass
