"""What trials print, by every way there is: bounded, and without secrets."""

import contextlib
import logging
import multiprocessing
import os
import subprocess
import sys
import time

import psutil
import pytest

from runback.sweeping.trials import messages, trial_output
from runback.sweeping.trials.engines.engine import Ended
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.trial import Trial

SECRET = "https://me:hunter2@example.org"  # noqa: S105 - nobody's
LIMIT = trial_output.HEAD + trial_output.TAIL + 1000


@pytest.fixture(scope="module")
def engine():
    with contextlib.closing(LocalEngine()) as local:
        yield local


def printed(engine, folder, task):
    """Run a task as a trial and return what is in its log when its process is gone."""
    engine.start(Trial.of(task, number=0, sweep="s", threads=1, parent=None, folder=folder))
    outcome, deadline = None, time.monotonic() + 600
    while (outcome is None or engine._leaving) and time.monotonic() < deadline:
        outcome = next((e.outcome for e in engine.events(0.1) if isinstance(e, Ended)), outcome)
    assert isinstance(outcome, messages.Completed)
    return (folder / trial_output.OUTPUT).read_text()


def by_print(text):
    print(text)


def by_descriptor(text):
    os.write(2, f"{text}\n".encode())


def by_buffer(text):
    sys.stdout.buffer.write(f"{text}\n".encode())


def by_program(text):
    subprocess.run(["printf", "%s\n", text], check=True)


@pytest.mark.parametrize("way", [by_print, by_descriptor, by_buffer, by_program])
def test_no_secret_stays_in_an_output(engine, tmp_path, way):
    def task():
        way(f"from {SECRET}")
        return 1.0

    text = printed(engine, tmp_path, task)
    assert "example.org" in text
    assert "hunter2" not in text


def test_no_secret_that_only_the_trial_knows_stays(engine, tmp_path):
    def task():
        os.environ["LATE_TOKEN"] = "plnt-late-12345"  # noqa: S105 - nobody's
        by_program("bare plnt-late-12345")
        (tmp_path / "own.log").write_text("bare plnt-late-12345\n")
        return 1.0

    assert printed(engine, tmp_path, task) == "bare ***\n"
    assert (tmp_path / "own.log").read_text() == "bare ***\n"


def test_no_secret_that_only_an_orphan_knows_stays(tmp_path):
    program = (
        "import os, sys, time; from pathlib import Path;"
        "from runback.sweeping.trials.engines.local_engine import LocalEngine;"
        "from runback.sweeping.trials.trial import Trial;"
        "engine = LocalEngine(); folder = Path(sys.argv[1])\n"
        "def task():\n"
        "    import os, time\n"
        "    os.environ['LATE_TOKEN'] = 'plnt-late-12345'\n"
        "    os.write(1, b'bare plnt-late-12345\\n')\n"
        "    time.sleep(60)\n"
        "engine.start(Trial.of(task, number=0, sweep='s', threads=1, parent=None, folder=folder))\n"
        "while not (folder / 'output.log').exists() or not (folder / 'output.log').stat().st_size:\n"
        "    time.sleep(0.05)\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
    deadline = time.monotonic() + 600
    while "plnt" in (tmp_path / trial_output.OUTPUT).read_text() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert (tmp_path / trial_output.OUTPUT).read_text().startswith("bare ***\n")


def test_a_log_beside_the_output_is_bounded_and_without_secrets(engine, tmp_path):
    def task():
        logging.basicConfig(filename=tmp_path / "app.log", format="%(message)s", force=True)
        log = logging.getLogger("any")
        os.environ["LATE_TOKEN"] = "plnt-late-12345"  # noqa: S105 - nobody's
        log.warning("first with %s and %s", "plnt-late-12345", {"password": "plnt-logged"})
        try:
            int("bare plnt-late-12345")
        except ValueError:
            log.exception("raised")
        log.warning("word " * 1_000_000)
        (tmp_path / "app.log").open("a").write("word\n" * 1_000_000)
        return 1.0

    printed(engine, tmp_path, task)
    text = (tmp_path / "app.log").read_text()
    assert text.startswith("first with *** and {'password': '***'}\n")
    assert "with base 10: 'bare ***'" in text
    assert "characters left out" in text
    assert "plnt" not in text
    assert len(text) < LIMIT


def test_a_key_without_an_end_is_hidden_and_takes_nothing_else_along(engine, tmp_path):
    def task():
        print("before")
        print("-----BEGIN RSA PRIVATE KEY-----")
        print("the key", file=sys.stdout)
        print("on stderr", file=sys.stderr)
        return 1.0

    log = printed(engine, tmp_path, task)
    assert sorted(log.split()) == sorted(["before", "***", "on", "stderr"])


def test_of_a_long_secret_nothing_stays(engine, tmp_path):
    secret = "plnt" + "aB3xQ" * 200

    def task():
        os.environ["LATE_TOKEN"] = secret
        by_descriptor(f"val:{secret}")
        print(f"val:{secret}")
        return 1.0

    assert printed(engine, tmp_path, task) == "val:***\nval:***\n"


def test_daemons_that_a_task_leaves_end_with_their_trial(engine, tmp_path):
    def task():
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,), daemon=True)
        child.start()
        (tmp_path / "pid").write_text(str(child.pid))
        return 1.0

    printed(engine, tmp_path, task)
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(child)


def test_python_prints_no_secret_while_a_trial_runs(engine, tmp_path):
    def task():
        print(f"from {SECRET}")
        return float("hunter2" in (tmp_path / trial_output.OUTPUT).read_text())

    printed(engine, tmp_path, task)
    assert "hunter2" not in (tmp_path / trial_output.OUTPUT).read_text()


def at_once():
    print("first\n" + "x" * 50_000_000 + "\nlast")
    return 1.0


def in_lines():
    print("first")
    for _ in range(20_000):
        print("word " * 100)
    print("last")
    return 1.0


def past_python():
    by_descriptor("first")
    for _ in range(200):
        os.write(1, b"x" * 99_999 + b"\n")
    by_descriptor("last")
    return 1.0


@pytest.mark.parametrize("task", [at_once, in_lines, past_python])
def test_of_very_much_the_beginning_and_the_end_are_kept(engine, tmp_path, task):
    text = printed(engine, tmp_path, task)
    assert len(text) < LIMIT
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "bytes left out" in text


def test_an_output_is_shortened_while_its_trial_goes_on(engine, tmp_path):
    def task():
        log = tmp_path / trial_output.OUTPUT
        for _ in range(400):
            os.write(1, b"x" * 99_999 + b"\n")
        deadline = time.monotonic() + 600
        while log.stat().st_size > LIMIT and time.monotonic() < deadline:
            time.sleep(0.1)
        print("goes on")
        return float(log.stat().st_size)

    text = printed(engine, tmp_path, task)
    assert text.endswith("goes on\n")
    assert len(text) < LIMIT


def test_unfinished_lines_are_written_when_asked_for_and_whole_ones_at_once(tmp_path):
    program = (
        "import sys; from pathlib import Path; log = Path(sys.argv[1]);"
        "from runback.sweeping.trials import trial_output as output;"
        "output.redirect(log); print('a', end=' '); assert log.read_text() == '';"
        "sys.stdout.flush(); assert log.read_text() == 'a ';"
        "print('ü'); assert log.read_text() == 'a ü\\n', log.read_text(); print('b', file=sys.stderr, end='')"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "log"], check=True)
    assert (tmp_path / "log").read_text() == "a ü\nb"


def test_what_needs_no_change_is_not_written_again(tmp_path):
    log = tmp_path / trial_output.OUTPUT
    log.write_bytes(b"nothing of note \xff\n")
    before = log.stat()
    trial_output.tidy(log)
    assert log.stat() == before


def test_what_is_no_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "else").write_text(SECRET)
    (tmp_path / "link").symlink_to(tmp_path / "else")
    for name in ("pipe", "link", "none"):
        trial_output.tidy(tmp_path / name)
    assert (tmp_path / "else").read_text() == SECRET


ON_A_FULL_DISK = """
import os, sys
from runback.sweeping.trials import trial_output

log = sys.argv[1]
trial_output._print_to(os.open("/dev/full", os.O_WRONLY))
for number in range(1000):
    print("line", number)
print("an error", file=sys.stderr)
os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT), 1)  # there is room again
print("the end")
trial_output.close_streams()
"""


def test_a_full_disk_ends_no_trial_and_what_it_did_not_take_is_counted(tmp_path):
    log = tmp_path / "output.log"
    subprocess.run([sys.executable, "-c", ON_A_FULL_DISK, str(log)], check=True)
    lost = sum(len(f"line {number}\n") for number in range(1000))
    assert log.read_text() == f"... {lost} bytes could not be written ...\nthe end\n"
