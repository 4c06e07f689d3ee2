"""A worker: `python -m runback.sweeping.trials.remote.worker_process FOLDER NAME`.

It finds the coordinator of the sweep in FOLDER, trains the trials that it is given, each in a process of its
own (see `LocalEngine`), and ends when it is told to, or when no coordinator is to be found for a while.
"""

import asyncio
import os
import pickle
import signal
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle

from runback.errors import InputError
from runback.sweeping.study.attributes import PROCESS
from runback.sweeping.trials import messages
from runback.sweeping.trials.engines.engine import Ended, Event
from runback.sweeping.trials.engines.local_engine import LocalEngine
from runback.sweeping.trials.remote.meeting import Meeting
from runback.sweeping.trials.remote.message_text import as_json
from runback.sweeping.trials.remote.wire import LONGEST, Frame, Inbox, LoopThread, Peer, client_context
from runback.system.text.terminal import say

PATIENCE = 90.0
"""Seconds that a worker looks for a coordinator: one that waits for the worker's place may come after it."""

AGAIN = 1.0
"""Seconds from one try to find it to the next."""

CONNECTING = 5.0
"""Seconds to connect to one of its addresses."""

REMEMBERED = 100
"""Trials whose ends are told again to the next coordinator."""

NO_COORDINATOR = 69
"""The exit code of a worker that has found no coordinator."""

GRACE = 10.0
"""Seconds that a trial gets to keep a checkpoint, where its coordinator is gone or its worker leaves."""

LEAVE = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""The signals by which a scheduler says that a worker's time is nearly over."""


class WorkerProcess:
    """One worker of one sweep."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._inbox = Inbox()
        self._thread = LoopThread("coordinator")
        self._engine: LocalEngine | None = None
        self._running: tuple[int, int] | None = None  # number and attempt
        self._process = ""  # the mark of the running trial's
        self._ended: dict[str, dict[str, Any]] = {}
        """How trials have ended, by number: a coordinator may not have heard it."""
        self._is_done = False
        self.has_found_none = False
        """Whether it has ended because there was no coordinator."""
        self.leaves: signal.Signals | None = None
        """The signal by which it was told to leave before the sweep has ended; None: it was not."""

    def run(self) -> None:
        """Work until the sweep has ended, or until it is to leave."""
        for signum in LEAVE:
            signal.signal(signum, self._leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            while not self._is_done and self.leaves is None:
                peer = self._find()
                if peer is None:
                    self.has_found_none = self.leaves is None
                    return
                self._work(peer)
                if not self._is_done and self.leaves is None:
                    time.sleep(AGAIN)
        finally:
            if self._engine is not None:
                self._engine.close()
            self._thread.close()
            self._inbox.close()

    @property
    def unreached(self) -> str:
        """Say where no coordinator was found."""
        try:
            meeting = Meeting.read(self._folder)
        except InputError as error:
            return str(error)
        if meeting is None:
            return f"no coordinator came within {PATIENCE:.0f} s: there is none in {self._folder}"
        places = ", ".join(meeting.hosts)
        return f"no coordinator is to be reached within {PATIENCE:.0f} s: port {meeting.port} of {places}"

    def _leave(self, signum: int, _frame: object) -> None:
        self.leaves = signal.Signals(signum)

    def _find(self) -> Peer | None:
        """Return the coordinator; None where there is none for a while, or it is time to leave."""
        deadline = time.monotonic() + PATIENCE
        while self.leaves is None and time.monotonic() < deadline:
            meeting = Meeting.read(self._folder)
            if meeting is not None:
                peer: Peer | None = self._thread.run(self._connected(meeting))
                if peer is not None:
                    return peer
            time.sleep(AGAIN)
        return None

    async def _connected(self, meeting: Meeting) -> Peer | None:
        context = client_context(meeting.certificate)
        for host in meeting.hosts:
            try:
                async with asyncio.timeout(CONNECTING):
                    reader, writer = await asyncio.open_connection(
                        host, meeting.port, ssl=context, server_hostname=""
                    )
            except (OSError, ssl.SSLError, TimeoutError, ValueError):
                continue
            peer = Peer(asyncio.get_running_loop(), reader, writer, self._inbox, LONGEST)
            peer.send("hello", token=meeting.token, worker=self._name, ended=self._ended)
            self._listening = asyncio.create_task(peer.listen())
            return peer
        return None

    def _work(self, peer: Peer) -> None:
        """Train what the coordinator gives, until it is gone, or the work is done."""
        while not self._is_done:
            for sender, frame in self._inbox.read():
                if sender is not peer:
                    continue
                if frame is None:
                    self._end_trial("its coordinator is gone")
                    return
                self._do(frame)
            if self.leaves is not None:
                peer.send("leaving")
                self._end_trial(self._why_it_leaves, peer)
                break
            for event in self._events(0.5):
                # Whoever tells this process to leave may have told the trial's own, too.
                self._tell(peer, event if self.leaves is None else _as_preempted(event, self._why_it_leaves))
        peer.close()

    @property
    def _why_it_leaves(self) -> str:
        return f"its worker had to leave ({'' if self.leaves is None else self.leaves.name})"

    def _events(self, timeout: float) -> list[Event]:
        if self._engine is not None:
            return self._engine.events(timeout)
        time.sleep(0.05)
        return []

    def _do(self, frame: Frame) -> None:
        match frame.kind:
            case "welcome" if self._engine is None:
                for name, value in frame.facts["environment"].items():
                    os.environ.setdefault(name, value)
                warm_up = cloudpickle.loads(frame.content) if frame.content else None
                preload = [str(name) for name in frame.facts["preload"]]
                self._engine = LocalEngine("forkserver", preload, warm_up, also=[self._inbox.descriptor])
            case "trial" if self._engine is not None:
                trial = pickle.loads(frame.content)  # noqa: S301 - of the coordinator, known by its certificate
                self._running, self._process = (trial.number, frame.facts["attempt"]), ""
                self._ended.pop(str(trial.number), None)
                self._engine.start(trial)
            case "end":
                self._is_done = True
            case "answer" | "stop" | "kill":
                self._pass_on(frame)

    def _pass_on(self, frame: Frame) -> None:
        if self._engine is None or self._running is None or self._running[1] != frame.facts["attempt"]:
            return
        number = self._running[0]
        match frame.kind:
            case "answer":
                self._engine.answer(number, messages.Answer(frame.facts["answer"]))
            case "stop":
                self._engine.stop(number)
            case "kill":
                self._engine.kill(number)

    def _tell(self, peer: Peer | None, event: Event) -> None:
        """Tell the coordinator what its trial has said, or how it has ended."""
        if self._running is None or event.number != self._running[0]:
            return
        attempt = self._running[1]
        message = event.outcome if isinstance(event, Ended) else event.message
        said: dict[str, Any] = {"attempt": attempt, "message": as_json(message)}
        if isinstance(message, messages.Attribute) and message.name == PROCESS:
            self._process = message.value
        if isinstance(event, Ended):
            for earlier in self._ended.values():  # all of them are said in one greeting
                earlier["message"].get("failed", {}).update(traceback="")
            self._ended[str(event.number)] = {**said, "process": self._process}
            for number in [*self._ended][:-REMEMBERED]:
                del self._ended[number]
            self._running = None
        if peer is not None:
            peer.send("said", **said)

    def _end_trial(self, reason: str, peer: Peer | None = None) -> None:
        """Let the running trial keep a checkpoint, and end it."""
        if self._engine is None or self._running is None:
            return
        number = self._running[0]
        self._engine.stop(number)
        deadline = time.monotonic() + GRACE
        is_killed = False
        while self._running is not None:
            if not is_killed and time.monotonic() > deadline:
                self._engine.kill(number)
                is_killed = True
            for event in self._engine.events(0.2):
                self._tell(peer, event if is_killed else _as_preempted(event, reason))


def _as_preempted(event: Event, reason: str) -> Event:
    """Return the end of a trial that was asked to stop, as that of one that goes on elsewhere."""
    match event:
        case Ended(number, messages.Failed("stopped")):
            return Ended(number, messages.Preempted(reason))
    return event


def main(arguments: list[str]) -> int:
    """Be a worker; return 0 where the sweep has ended, 75 (try again) where it had to leave before.

    69 (unavailable) where it has found no coordinator.
    """
    folder, name = arguments
    worker = WorkerProcess(Path(folder), name)
    try:
        worker.run()
    except InputError as error:
        say(f"error: {error}", stream=sys.stderr)
        return 2
    if worker.has_found_none:
        say(f"error: {worker.unreached}", stream=sys.stderr)
        return NO_COORDINATOR
    return 75 if worker.leaves is not None else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
