"""The line between `runback reproduce` or `runback train resume=` and the script that it has started again.

command                                   script, in `runback.start`
   | environment: AGAIN_VARIABLE  ------>    | what it is to do again
   | <------------------------- {"record"}   | before the run begins
   | {"go": true}  -------------------->     | or the line is closed, and the script ends
   | <------------------------ {"trained"}   | the run has ended
"""

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self, TextIO

from runback.errors import Stopped
from runback.runs.schema import RunRecord

AGAIN_VARIABLE = "RUNBACK_AGAIN"
"""The environment variable by which a script is told what it does again."""


@dataclass(frozen=True)
class Again:
    """A run that a script is to do again."""

    run: str
    """A reference to it."""
    is_resumed: bool
    """Whether it goes on in its own MLflow run; else it is reproduced in another one."""
    folder: str
    name: str
    threads: int
    last_epoch: int | None
    tags: Mapping[str, str]
    parent: int
    """The process that has started the script, and listens."""
    descriptor: int
    """The script's end of the line."""

    @classmethod
    def asked(cls) -> Self | None:
        """Return what this process is to do again, once; None where nobody has asked it to."""
        text = os.environ.pop(AGAIN_VARIABLE, None)
        if text is None:
            return None
        again = cls(**json.loads(text))
        return again if again.parent == os.getppid() else None  # a script's own child is not meant

    def variables(self) -> dict[str, str]:
        """Return the environment by which a script is told."""
        return {AGAIN_VARIABLE: json.dumps(asdict(self))}

    def line(self) -> "AgainLine":
        """Return the script's end of the line."""
        return AgainLine(socket.socket(fileno=self.descriptor))


class AgainLine:
    """One end of the line: messages of JSON, one a line."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._stream: TextIO = end.makefile("rw", encoding="utf-8")

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message. Raises Stopped where nobody listens any more."""
        try:
            self._stream.write(json.dumps(message) + "\n")
            self._stream.flush()
        except OSError:
            raise Stopped("the command that started this script is gone") from None

    def receive(self) -> dict[str, Any] | None:
        """Return the next message; None where the line is closed."""
        try:
            line = self._stream.readline()
        except OSError:
            return None
        return dict(json.loads(line)) if line else None

    def close(self) -> None:
        """Close this end."""
        for one in (self._stream, self._end):
            try:
                one.close()
            except OSError:  # what is written goes nowhere
                continue

    def on_record(self, record: RunRecord) -> None:
        """Send a run's record, and wait for the word to train; without it the script ends here."""
        self.send({"record": record})
        if self.receive() is None:
            raise SystemExit(2)  # the command says why
