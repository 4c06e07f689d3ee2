import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from runback.system.files.process_owner import is_abandoned, is_open_in, this_process

MARK = (
    "from runback.system.files.process_owner import this_process; print(this_process(), flush=True); input()"
)

HUGE = f"runback {platform.node()} {'9' * 5000} 1.00"


def started():
    process = subprocess.Popen([sys.executable, "-c", MARK], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return process, process.stdout.readline().decode()


def test_what_a_living_process_owns_is_not_abandoned():
    process, mark = started()
    assert not is_abandoned(mark)
    process.communicate(b"\n")
    assert is_abandoned(mark)


def test_a_killed_process_that_nobody_waited_for_owns_nothing():
    process, mark = started()
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert is_abandoned(mark)
    process.communicate()


def test_a_number_that_another_process_has_now_owns_nothing():
    *start, number, began = this_process().split()
    assert number == str(os.getpid())
    assert not is_abandoned(" ".join([*start, number, began]))
    assert is_abandoned(" ".join([*start, number, f"{float(began) - 60:.2f}"]))


@pytest.mark.parametrize(
    "mark", ["", "runback", "a note of the user's", "runback other-host 999999 1.00", HUGE]
)
def test_nothing_is_known_of_other_marks(mark):
    assert not is_abandoned(mark)
    assert not is_open_in(mark, Path("output.log"))


def test_a_process_is_known_by_what_it_has_open(tmp_path):
    file, link = tmp_path / "output.log", tmp_path / "link"
    link.symlink_to(file)
    with file.open("a"):
        assert is_open_in(this_process(), file)
        assert not is_open_in(this_process(), link)
    assert not is_open_in(this_process(), file)
