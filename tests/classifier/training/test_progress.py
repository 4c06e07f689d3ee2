import io
import re

import pytest

from runback.classifier.training.progress import TrainingProgress

METRICS = {
    "loss": 1.23456,
    "accuracy": 0.5,
    "val_loss": 1.5,
    "val_accuracy": 0.4,
    "learning_rate": 0.001,
    "epoch_seconds": 2.0,
    "images_per_second": 1850.4,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_is_one_plain_line_an_epoch() -> None:
    stream = io.StringIO()
    with TrainingProgress(2, 100, stream) as progress:
        progress.batch(1, 32, {"loss": 2.0, "accuracy": 0.1})
        progress.epoch(1, METRICS)
        progress.epoch(2, METRICS)
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"epoch 1/2  loss 1\.2346  accuracy 0\.5000  val_loss 1\.5000  val_accuracy 0\.4000  "
        r"1,850 images/s  \d+:\d\d left",
        first,
    )
    assert second.startswith("epoch 2/2")
    assert second.endswith("1,850 images/s")


def test_on_a_terminal_the_running_epoch_shows_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    stream = Terminal()
    with TrainingProgress(2, 100, stream) as progress:
        progress.epoch(1, METRICS)
        progress.batch(2, 32, {"loss": 2.0, "accuracy": 0.1})
    shown = stream.getvalue()
    assert "epoch 1/2  loss 1.2346" in shown
    assert re.search(r"epoch 2/2.*loss 2\.0000  accuracy 0\.1000  [\d,]+ images/s  \d+:\d\d left", shown)


def test_a_resumed_training_counts_only_its_own_epochs_for_the_time_left() -> None:
    stream = io.StringIO()
    with TrainingProgress(1000, 100, stream, initial_epoch=998) as progress:
        progress.epoch(999, METRICS)
    assert stream.getvalue().strip().endswith("0:00 left")


def test_an_error_inside_leaves_the_terminal_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with pytest.raises(KeyboardInterrupt), TrainingProgress(2, 100, stream):
        raise KeyboardInterrupt
    hide, show = "\x1b[?25l", "\x1b[?25h"
    assert stream.getvalue().rindex(show) > stream.getvalue().rindex(hide)
