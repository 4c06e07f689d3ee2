"""What trials print, by every way there is: bounded, and without secrets."""

import contextlib
import os
import subprocess
import sys
import time

import pytest

from runback.sweeping import messages, output
from runback.sweeping.engines.engine import Ended
from runback.sweeping.engines.local import LocalEngine
from runback.sweeping.process import Job

SECRET = "https://me:hunter2@example.org"  # noqa: S105 - nobody's
LIMIT = output.HEAD + output.TAIL + 1000


@pytest.fixture(scope="module")
def engine():
    with contextlib.closing(LocalEngine()) as local:
        yield local


def printed(engine, folder, task):
    """Run a task as a trial and return what is in its log when its process is gone."""
    engine.start(Job.of(task, number=0, sweep="s", threads=1, parent=None, folder=folder))
    outcome, deadline = None, time.monotonic() + 120
    while (outcome is None or engine._leaving) and time.monotonic() < deadline:
        outcome = next((e.outcome for e in engine.events(0.1) if isinstance(e, Ended)), outcome)
    assert isinstance(outcome, messages.Completed)
    return (folder / output.OUTPUT).read_text()


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


def test_python_prints_no_secret_while_a_trial_runs(engine, tmp_path):
    def task():
        print(f"from {SECRET}")
        return float("hunter2" in (tmp_path / output.OUTPUT).read_text())

    printed(engine, tmp_path, task)
    assert "hunter2" not in (tmp_path / output.OUTPUT).read_text()


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
        log = tmp_path / output.OUTPUT
        for _ in range(400):
            os.write(1, b"x" * 99_999 + b"\n")
        deadline = time.monotonic() + 60
        while log.stat().st_size > LIMIT and time.monotonic() < deadline:
            time.sleep(0.1)
        print("goes on")
        return float(log.stat().st_size)

    text = printed(engine, tmp_path, task)
    assert text.endswith("goes on\n")
    assert len(text) < LIMIT


def test_unfinished_lines_are_written_when_asked_for_and_whole_ones_at_once(tmp_path):
    program = (
        "import sys; from pathlib import Path; from runback.sweeping import output; log = Path(sys.argv[1]);"
        "output.redirect(log); print('a', end=' '); assert log.read_text() == '';"
        "sys.stdout.flush(); assert log.read_text() == 'a ';"
        "print('ü'); assert log.read_text() == 'a ü\\n', log.read_text(); print('b', file=sys.stderr, end='')"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "log"], check=True)
    assert (tmp_path / "log").read_text() == "a ü\nb"


def test_what_needs_no_change_is_not_written_again(tmp_path):
    log = tmp_path / output.OUTPUT
    log.write_bytes(b"nothing of note \xff\n")
    before = log.stat()
    output.tidy(log)
    assert log.stat() == before


def test_what_is_no_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "else").write_text(SECRET)
    (tmp_path / "link").symlink_to(tmp_path / "else")
    for name in ("pipe", "link", "none"):
        output.tidy(tmp_path / name)
    assert (tmp_path / "else").read_text() == SECRET
