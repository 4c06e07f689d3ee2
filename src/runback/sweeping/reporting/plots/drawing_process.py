"""The process that draws a sweep's plots, as its coordinator sees it."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

LOG = "log"

FOLDER = ".drawing-"
"""Begins the name of the folder, in the sweep's, that a process draws into."""


class Artist:
    """Draws in one process at a time, beside the trials, and hands over what is finished."""

    def __init__(self, sweep_folder: Path, name: str) -> None:
        self._sweep_folder, self._name = sweep_folder, name
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = sweep_folder
        self._started = 0.0
        for left in sweep_folder.glob(f"{FOLDER}*"):  # of a coordinator that was killed
            shutil.rmtree(left, ignore_errors=True)

    @property
    def is_busy(self) -> bool:
        """Whether a drawing is begun and not taken yet."""
        return self._process is not None

    @property
    def seconds(self) -> float:
        """Seconds that the drawing has taken so far."""
        return time.monotonic() - self._started

    def begin(self, *, urgent: bool) -> None:
        """Draw the study as it is now; unless `urgent` only while nobody else wants the processors."""
        self.drop()
        self._folder = self._sweep_folder / f"{FOLDER}{uuid.uuid4().hex}"
        self._folder.mkdir()
        arguments = [str(self._sweep_folder), self._name, str(self._folder), *([] if urgent else ["idle"])]
        self._started = time.monotonic()
        with (self._folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                # -P: what lies in the working directory is not imported
                [sys.executable, "-P", "-m", "runback.sweeping.reporting.plots.drawing", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the coordinator
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )

    def finished(self, wait: float = 0.0) -> bool:
        """Tell whether the drawing has ended, after waiting for it for up to `wait` seconds."""
        if self._process is None:
            return False
        try:
            self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return False
        return True

    def take(self) -> tuple[list[Path], str]:
        """Return the files of the drawing that has ended, and what it complains of.

        They are gone with the next call of any method.
        """
        if self._process is None:
            return [], ""
        self._process = None
        complaint = (self._folder / LOG).read_text(errors="replace").strip().splitlines()
        files = sorted(path for path in self._folder.rglob("*") if path.is_file() and path.name != LOG)
        return files, complaint[-1] if complaint else ""

    def name_of(self, file: Path) -> str:
        """Return the folder of a file, as an artifact's: empty for the top."""
        folder = file.parent.relative_to(self._folder).as_posix()
        return "" if folder == "." else folder

    def drop(self) -> None:
        """End a drawing that is under way, and remove what it made."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._folder != self._sweep_folder:
            shutil.rmtree(self._folder, ignore_errors=True)
