import io
import logging
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runback.system.text.lasting_output import LastingStream, lasting_output, output_troubles


class Failing(io.StringIO):
    """A stream that raises an error for some of its writes."""

    encoding = None

    def __init__(self, *errors):
        super().__init__()
        self.errors_to_come = list(errors)

    def write(self, text):
        error = self.errors_to_come.pop(0) if self.errors_to_come else None
        if error is not None:
            raise error
        return super().write(text)


def pair(stream):
    """A lasting stream, and the text that is told about it."""
    told = io.StringIO()
    lasting = LastingStream(stream, "stdout")
    lasting.told_on = LastingStream(told, "stderr")
    return lasting, told


@pytest.mark.parametrize(
    "error",
    [BrokenPipeError(32, "Broken pipe"), OSError(5, "Input/output error"), ValueError("closed file")],
    ids=["pipe", "terminal", "closed"],
)
def test_a_stream_that_is_gone_is_told_of_once_and_left_alone(error):
    stream = Failing(error)
    lasting, told = pair(stream)
    for _ in range(3):
        assert lasting.write("a line\n") == 7
        lasting.flush()
    assert stream.getvalue() == ""
    assert told.getvalue().count("\n") == 1
    assert "stdout takes no more" in told.getvalue()
    assert not lasting.isatty()


def test_a_full_disk_takes_what_comes_when_there_is_room_again():
    stream = Failing(OSError(28, "No space left on device"), None, OSError(28, "No space left on device"))
    lasting, told = pair(stream)
    for text in ("a\n", "b\n", "c\n", "d\n"):
        lasting.write(text)
    assert stream.getvalue() == "b\nd\n"
    assert told.getvalue().count("\n") == 1


def test_letters_that_an_encoding_lacks_are_spelled_out():
    content = io.BytesIO()
    lasting, told = pair(io.TextIOWrapper(content, encoding="latin-1"))
    lasting.write("café\n")
    lasting.write("↑ 3 € ü\n")
    lasting.write("↑\n")
    lasting.flush()
    assert content.getvalue().decode("latin-1") == "café\n\\u2191 3 \\u20ac \\xfc\n\\u2191\n"
    assert told.getvalue().count("\n") == 1
    assert "latin-1 only" in told.getvalue()
    assert lasting.trouble is None


def test_both_streams_gone_raise_nothing(monkeypatch):
    gone = [Failing(*[BrokenPipeError(32, "Broken pipe")] * 9) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", gone[0])
    monkeypatch.setattr(sys, "stderr", gone[1])
    with lasting_output():
        print("a")
        print("b", file=sys.stderr)
        assert output_troubles() == ["stdout took no more: Broken pipe", "stderr took no more: Broken pipe"]
    assert sys.stdout is gone[0]


def test_one_within_another_changes_nothing():
    with lasting_output():
        outer = sys.stdout
        with lasting_output():
            assert sys.stdout is outer
        assert sys.stdout is outer


def test_what_libraries_close_stays_open(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with lasting_output():
        sys.stderr.close()
        sys.stderr.write("more")
    assert stream.getvalue() == "more"


def test_what_is_logged_outlasts_its_stream_too(monkeypatch):
    gone, told = Failing(*[BrokenPipeError(32, "Broken pipe")] * 9), io.StringIO()
    monkeypatch.setattr(sys, "stdout", gone)
    monkeypatch.setattr(sys, "stderr", told)
    handler = logging.StreamHandler(gone)
    logging.getLogger().addHandler(handler)
    try:
        with lasting_output():
            logging.getLogger("an app").warning("once")
            logging.getLogger("an app").warning("twice")
        assert handler.stream is gone
    finally:
        logging.getLogger().removeHandler(handler)
    assert told.getvalue() == "runback: stdout takes no more (Broken pipe); the work goes on without it\n"


IN_A_PROCESS = """
import os, sys
from runback.system.text.lasting_output import lasting_output
with lasting_output():
    for number in range(3):
        print("line", number, flush=True)
        os.system("echo from a program")
    opened = os.open(os.devnull, os.O_RDONLY)
sys.exit(7 if opened > 2 else 8)
"""


def in_a_process(shell):
    command = [sys.executable, "-c", IN_A_PROCESS]
    return subprocess.run(
        ["bash", "-c", f'set -o pipefail; "$@" {shell}', "-", *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("shell", "reason"),
    {
        "> /dev/full": "No space left on device",
        ">&-": "it is closed",
        ">&- <&-": "it is closed",
    }.items(),
)
def test_a_process_without_stdout_ends_as_it_would(shell, reason):
    done = in_a_process(shell)
    assert done.returncode == 7
    lines = [line for line in done.stderr.splitlines() if "echo" not in line]
    assert lines == [f"runback: stdout takes no more ({reason}); the work goes on without it"]


@pytest.mark.parametrize("shell", [">&- 2>&-", "> /dev/full 2>&1", "2>&- >/dev/full"])
def test_a_process_without_either_stream_ends_as_it_would(shell):
    assert in_a_process(shell).returncode == 7


def test_a_reader_that_goes_leaves_the_process_alone():
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(theirs)
    assert done.returncode == 7
    assert done.stderr == "runback: stdout takes no more (Broken pipe); the work goes on without it\n"


ON_A_STALLED_TERMINAL = """
import signal, sys, threading
from runback.system.text.lasting_output import lasting_output
signal.signal(signal.SIGHUP, signal.SIG_IGN)

def fill(stream):
    for _ in range(3000):
        stream.write("x" * 100 + "\\n")
        stream.flush()

with lasting_output():
    streams = (sys.stdout, sys.stderr)
    threads = [threading.Thread(target=fill, args=(stream,), daemon=True) for stream in streams]
    for thread in threads:
        thread.start()
    os_write("started")
    for thread in threads:
        thread.join()
os_write("ended")
"""


def test_two_threads_outlast_a_terminal_that_stalls_and_closes():
    ours, theirs = pty.openpty()
    seen, said = os.pipe()
    says = f"import os\nos_write = lambda text: os.write({said}, text.encode())\n"
    process = subprocess.Popen(
        [sys.executable, "-c", says + ON_A_STALLED_TERMINAL],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        pass_fds=[said],
        start_new_session=True,
    )
    os.close(theirs)
    os.close(said)
    try:
        assert os.read(seen, 100) == b"started"
        while (
            process.poll() is None and in_state(process.pid, "S") < 3
        ):  # both threads wait for the terminal, and the main one for them
            time.sleep(0.05)
        os.close(ours)
        assert process.wait(60) == 0
        assert os.read(seen, 100) == b"ended"
    finally:
        process.kill()
        process.wait()
        os.close(seen)


def in_state(pid, letter):
    """Return how many threads of a process are in a state, by its letter in /proc."""
    states = [
        file.read_text().rpartition(")")[2].split()[0] for file in Path(f"/proc/{pid}/task").glob("*/stat")
    ]
    return states.count(letter)
