import os

import pytest

from runback.tracking.write.metrics_file import read, write


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"step": 1, "time": 1e999, "metrics": {"loss": 1}}',
        b'{"step": [], "time": 1, "metrics": {"loss": 1}}',
        b'{"step": 1, "time": 1, "metrics": []}',
    ],
)
def test_a_damaged_line_is_passed_over(tmp_path, line, caplog):
    file = tmp_path / "metrics.jsonl"
    write(file, 1, 1.0, {"loss": 0.5})
    with file.open("ab") as stream:
        stream.write(line + b"\n")
    write(file, 2, 2.0, {"loss": 0.25})
    assert [(point.step, point.value) for point in read(file)] == [(1, 0.5), (2, 0.25)]
    assert "a damaged line" in caplog.text


def test_a_pipe_in_the_place_of_a_mirror_is_told_at_once(tmp_path, caplog):
    file = tmp_path / "metrics.jsonl"
    os.mkfifo(file)
    with pytest.raises(OSError, match="it is no ordinary file"):
        read(file)
    write(file, 1, 1.0, {"loss": 0.5})
    assert "cannot write" in caplog.text
