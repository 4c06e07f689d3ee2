"""Shows one training as it runs: a live bar on a terminal, a plain line an epoch elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from runback.system.text.screen import Screen
from runback.system.text.terminal import say

SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy", "val_top_k_accuracy", "val_macro_f1")


class TrainingProgress:
    """Shows epoch, loss, accuracy, images per second and time left of a training of `epochs` epochs.

    `n_train` is the number of training images of an epoch. Use it as a context manager and pass its methods
    on: `epoch` as `on_epoch` and `batch` as `on_batch` of `training.fit.fit`.
    """

    def __init__(
        self, epochs: int, n_train: int, stream: TextIO | None = None, *, initial_epoch: int = 0
    ) -> None:
        self._epochs = epochs
        self._n_train = n_train
        self._initial_epoch = initial_epoch
        self._stream = stream or sys.stdout
        self._started = self._epoch_started = 0.0
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        self._started = self._epoch_started = time.monotonic()
        console = Screen(self._stream)
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
            self._bar = Bar(*columns, console=console, refresh_per_second=10)
            self._bar.add_task(
                f"epoch {self._initial_epoch + 1}/{self._epochs}",
                total=self._n_train,
                text="building the graph",
            )
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def epoch(self, step: int, metrics: dict[str, float]) -> None:
        """Show that `step` epochs are done; `metrics` are those of the last one."""
        self._epoch_started = time.monotonic()
        line = f"epoch {step}/{self._epochs}  {_summary(metrics)}  {self._time_left(step)}".rstrip()
        if self._bar is None:
            say(line, stream=self._stream)
            return
        self._bar.console.print(line)
        if step < self._epochs:
            self._bar.update(
                self._bar.task_ids[0], description=f"epoch {step + 1}/{self._epochs}", completed=0, text=""
            )
        else:
            self._bar.update(self._bar.task_ids[0], visible=False)

    def batch(self, step: int, images_done: int, metrics: dict[str, float]) -> None:
        """Show that epoch `step` (from 1) has trained on `images_done` images; plain output shows nothing."""
        if self._bar is None:
            return
        done = min(images_done, self._n_train)
        speed = {"images_per_second": done / (time.monotonic() - self._epoch_started)}
        text = f"{_summary(metrics | speed)}  {self._time_left(step - 1 + done / self._n_train)}"
        self._bar.update(self._bar.task_ids[0], completed=done, text=text)

    def _time_left(self, epochs_done: float) -> str:
        done = epochs_done - self._initial_epoch
        if done <= 0 or epochs_done >= self._epochs:
            return ""
        seconds = (time.monotonic() - self._started) / done * (self._epochs - epochs_done)
        return f"{_clock(seconds)} left"


def _summary(metrics: dict[str, float]) -> str:
    parts = [f"{name} {metrics[name]:.4f}" for name in SHOWN if name in metrics]
    if "images_per_second" in metrics:
        parts.append(f"{metrics['images_per_second']:,.0f} images/s")
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
