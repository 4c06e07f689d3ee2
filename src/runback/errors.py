"""Errors and signals of runback, as a tree.

RunbackError                 the root; `exit_code` is what the command line returns
├── InputError        (2)    the request cannot be carried out as it was made; nothing was started
│   ├── DataError     (2)    the images or labels cannot be used
│   ├── StoreError    (2)    mlruns/ or a database in it cannot be used
│   │   └── StoreAway (2)    the store does not answer now; later it may
│   └── NeedsFreshProcess (2) a process that has done less before could do it
└── TrainingError     (1)    training started and failed
    ├── Diverged      (1)    the loss is no longer finite
    └── DiskFull      (1)    the disk that a run writes to is full

TrialPruned, Stopped and TrialPaused are no errors: they end a training early, on purpose.
"""


class RunbackError(Exception):
    """The root of runback's errors; its text is one line for a person."""

    exit_code = 1

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows below a notebook's cell: the line, without the way to it.

        https://ipython.readthedocs.io/en/stable/config/integrating.html#custom-exception-tracebacks
        """
        return _one_line(f"{type(self).__name__}: {self}")


def _one_line(text: str) -> list[str]:
    """Return a text as lines of which nothing does anything to a terminal."""
    return ["".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)]


class InputError(RunbackError):
    """The request cannot be carried out as it was made; nothing was started."""

    exit_code = 2


class DataError(InputError):
    """The images or labels cannot be used."""


class StoreError(InputError):
    """The folder mlruns/ or a database in it cannot be used."""


class StoreAway(StoreError):  # noqa: N818 - the word for it
    """The store does not answer, or not in time: what was to be stored can wait for it."""


class NeedsFreshProcess(InputError):  # noqa: N818 - a fact about the process
    """This process has done something before that cannot be undone and rules the request out."""


class TrainingError(RunbackError):
    """Training started and failed."""


class Diverged(TrainingError):  # noqa: N818 - the word for it
    """The loss is no longer finite."""


class DiskFull(TrainingError):  # noqa: N818 - the word for it
    """The disk that a run writes to is full."""


class TrialPruned(Exception):  # noqa: N818 - Optuna's name for it
    """The pruner decided to end this trial early."""


class Stopped(BaseException):
    """A signal asked this process to stop; like KeyboardInterrupt, no `except Exception` swallows it."""

    def __init__(self, reason: str, exit_code: int = 130) -> None:
        super().__init__(reason)
        self.reason = reason
        self.exit_code = exit_code

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows below a notebook's cell."""
        return _one_line(self.reason)


class TrialPaused(Stopped):
    """The sweep pauses this trial: it has kept a checkpoint, and may go on from there later."""
