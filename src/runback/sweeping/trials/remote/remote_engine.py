"""Trials on workers of other machines: given over a connection, one at a time to each worker."""

import asyncio
import hmac
import itertools
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cloudpickle

from runback.sweeping.trials import messages
from runback.sweeping.trials.engines.engine import Ended, Event, MessageReceived
from runback.sweeping.trials.engines.orphans import end_orphans
from runback.sweeping.trials.remote import meeting
from runback.sweeping.trials.remote.message_text import from_json
from runback.sweeping.trials.remote.wire import LONGEST_OF_WORKER, SILENCE, Frame, Inbox, LoopThread, Peer
from runback.sweeping.trials.remote.workers import Workers
from runback.sweeping.trials.trial import Trial
from runback.system.files.process_owner import is_of_this_host

STOPPING = 15.0
"""Seconds in which a worker that hears nothing of its coordinator has ended its trial."""

LEASE = SILENCE + STOPPING + 15.0
"""Seconds after which a worker that nothing is heard of has certainly ended its trial."""

LOOK = 1.0
"""Seconds from one look at the workers that are away to the next."""

LEAVING = 10.0
"""Seconds that workers get to end by themselves."""


@dataclass
class _Assigned:
    trial: Trial
    attempt: int
    worker: str


@dataclass
class _Worker:
    peer: Peer
    assigned: _Assigned | None = None
    is_leaving: bool = False

    @property
    def is_idle(self) -> bool:
        return self.assigned is None and not self.is_leaving


class RemoteEngine:
    """One trial at a time on each of the workers that come; those are started by `workers`."""

    def __init__(
        self,
        workers: Workers,
        folder: Path,
        n: int,
        preload: Sequence[str] = (),
        warm_up: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Make an engine; workers get those variables of `environment` that their machine does not set."""
        self._workers = workers
        self._welcome = {"preload": list(preload), "environment": dict(environment or {})}
        self._warm_up = b"" if warm_up is None else cloudpickle.dumps(warm_up)
        self._folder, self._n = folder, n
        self._present: dict[str, _Worker] = {}
        self._away: dict[int, tuple[_Assigned, float]] = {}  # since when their worker is away
        self._waiting: list[Trial] = []  # their worker went as they came
        self._over: set[tuple[int, str]] = set()  # what workers say has ended: trials, and their processes
        self._ended: list[Event] = []
        self._attempts = itertools.count(1)
        self._looked = 0.0
        self._inbox = Inbox()
        self._thread = LoopThread("workers")
        context, certificate = meeting.server_context()
        self._token = meeting.new_token()
        anywhere = "0.0.0.0"  # noqa: S104 - who comes has to know the token
        self._server: asyncio.Server = self._thread.run(
            asyncio.start_server(self._meet, host=anywhere, port=0, ssl=context)
        )
        port = self._server.sockets[0].getsockname()[1]
        self._meeting = meeting.Meeting(meeting.own_hosts(), port, certificate, self._token)
        self._is_begun = False

    def begin(self) -> None:
        """Let workers come: the sweep's folder is there, and ours."""
        if self._is_begun:
            return
        self._is_begun = True
        self._meeting.write(self._folder)
        self._workers.start(self._folder, self._n)

    @property
    def is_busy(self) -> bool:
        """Whether any trial runs."""
        return bool(self._waiting or self._away or self._ended) or any(
            worker.assigned for worker in self._present.values()
        )

    @property
    def is_ready(self) -> bool:
        """Whether a worker waits for a trial."""
        idle = sum(worker.is_idle for worker in self._present.values())
        return idle > len(self._waiting)

    def start(self, trial: Trial) -> None:
        """Give this trial to a worker; returns at once."""
        self.begin()
        self._waiting.append(trial)
        self._assign()

    def events(self, timeout: float) -> list[Event]:
        """Return what happened, within `timeout` seconds. Errors: TrainingError where no worker will come."""
        self.begin()
        if not self._ended:
            wait([self._inbox.descriptor], timeout)
        events: list[Event] = []
        for peer, frame in self._inbox.read():
            events += self._heard(peer, frame)
        self._look()
        self._assign()
        self._end_surplus()
        ended, self._ended = self._ended, []
        return events + ended

    def answer(self, number: int, answer: messages.Answer) -> None:
        """Answer a trial's report; a trial whose worker is gone hears nothing."""
        self._tell(number, "answer", answer=answer.value)

    def stop(self, number: int) -> None:
        """Ask a trial to stop."""
        self._end(number, "stop")

    def kill(self, number: int) -> None:
        """End a trial's process at once."""
        self._end(number, "kill")

    def end_orphans(self, trials: Sequence[tuple[int, str, Path]]) -> None:
        """Wait until no process of an earlier coordinator's runs any more of these trials.

        Workers say which trials they have ended; of others it is certain after a while.
        """
        self.begin()
        deadline = time.monotonic() + LEASE
        elsewhere = {(number, mark) for number, mark, _ in trials if not is_of_this_host(mark)}
        heard: list[Event] = []
        while not elsewhere <= self._over and time.monotonic() < deadline:
            heard += self.events(0.2)
        self._ended += heard
        end_orphans(trials)

    def resize(self, n: int) -> None:
        """Have so many workers: others are started, and those that are too many end after their trials.

        Errors: InputError where none can be had.
        """
        if self._is_begun:
            self._workers.start(self._folder, n)
        self._n = n

    def close(self) -> None:
        """End the workers, and with them what still runs."""
        try:
            if self._is_begun:
                self._workers.start(self._folder, 0)  # nobody comes in the place of those that end now
            for worker in self._present.values():
                worker.peer.send("end")
            deadline = time.monotonic() + LEAVING
            while self._present and time.monotonic() < deadline:
                wait([self._inbox.descriptor], 0.2)
                for peer, frame in self._inbox.read():
                    self._heard(peer, frame)
        finally:
            meeting.remove(self._folder)
            self._workers.close()
            self._thread.loop.call_soon_threadsafe(self._server.close)
            self._thread.close()
            self._inbox.close()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Let a worker in that knows the token."""
        peer = Peer(asyncio.get_running_loop(), reader, writer, self._inbox, LONGEST_OF_WORKER)
        try:
            hello = await peer.receive()
        except (OSError, EOFError, ValueError, RecursionError):
            writer.close()
            return
        token = hello.facts.get("token")
        if hello.kind != "hello" or not (
            isinstance(token, str) and hmac.compare_digest(token.encode(), self._token.encode())
        ):
            writer.close()
            return
        self._inbox.put(peer, hello)
        await peer.listen()

    def _heard(self, peer: Peer, frame: Frame | None) -> list[Event]:
        if frame is not None and frame.kind == "hello":
            try:
                self._greet(peer, frame)
            except (ValueError, LookupError, TypeError, AttributeError):  # no worker of ours says that
                peer.close()
            return []
        name = next((name for name, worker in self._present.items() if worker.peer is peer), None)
        if name is None:  # it has come again since
            return []
        worker = self._present[name]
        if frame is None:
            del self._present[name]
            if worker.assigned is not None:
                self._away[worker.assigned.trial.number] = (worker.assigned, time.monotonic())
            return []
        try:
            return self._said(worker, frame)
        except (ValueError, LookupError, TypeError):  # no worker of ours says that
            peer.close()
            return []

    def _said(self, worker: _Worker, frame: Frame) -> list[Event]:
        if frame.kind == "leaving":
            worker.is_leaving = True
            return []
        assigned = worker.assigned
        if assigned is None or frame.facts["attempt"] != assigned.attempt:
            return []
        number = assigned.trial.number
        message = from_json(frame.facts["message"])
        if isinstance(message, messages.Report | messages.Attribute | messages.Notice):
            return [MessageReceived(number, message)]
        worker.assigned = None
        return [Ended(number, message)]

    def _greet(self, peer: Peer, hello: Frame) -> None:
        name = str(hello.facts["worker"])[:200]
        ended = {int(number): said for number, said in hello.facts["ended"].items()}
        self._over |= {(number, str(said["process"])) for number, said in ended.items() if said["process"]}
        before = self._present.pop(name, None)
        if before is not None:
            before.peer.close()
            if before.assigned is not None:
                self._away[before.assigned.trial.number] = (before.assigned, time.monotonic())
        self._present[name] = _Worker(peer)
        for number, (assigned, _) in list(self._away.items()):
            if assigned.worker == name:
                del self._away[number]
                self._ended.append(Ended(number, _outcome_said(ended.get(number), assigned.attempt)))
        peer.send("welcome", self._warm_up, **self._welcome)

    def _assign(self) -> None:
        for name, worker in self._present.items():
            if not self._waiting:
                return
            if worker.is_idle:
                trial = self._waiting.pop(0)
                worker.assigned = _Assigned(trial, next(self._attempts), name)
                facts = {"trial": trial.number, "attempt": worker.assigned.attempt}
                worker.peer.send("trial", pickle.dumps(trial), **facts)

    def _end_surplus(self) -> None:
        """End idle workers where there are too many."""
        staying = [worker for worker in self._present.values() if not worker.is_leaving]
        idle = [worker for worker in staying if worker.is_idle]
        for worker in idle[: max(0, len(staying) - self._n)]:
            worker.peer.send("end")
            worker.is_leaving = True

    def _tell(self, number: int, kind: str, **facts: Any) -> bool:
        for worker in self._present.values():
            if worker.assigned is not None and worker.assigned.trial.number == number:
                worker.peer.send(kind, attempt=worker.assigned.attempt, **facts)
                return True
        return False

    def _end(self, number: int, how: str) -> None:
        if self._tell(number, how):
            return
        if any(trial.number == number for trial in self._waiting):
            self._waiting = [trial for trial in self._waiting if trial.number != number]
            self._ended.append(Ended(number, messages.Failed("stopped", "stopped before it started")))

    def _look(self) -> None:
        """Look, now and then, after the workers that are away."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        for number, (assigned, since) in list(self._away.items()):
            fate = self._workers.fate(assigned.worker)
            reason = f"nothing was heard of its worker {assigned.worker} for {LEASE:.0f} s"
            if fate is not None:
                failure = messages.Failed(fate.kind, fate.reason)
            elif now - since > LEASE:
                failure = messages.Failed("lost", reason)
            else:
                continue
            del self._away[number]
            self._ended.append(Ended(number, failure))
        self._workers.check(is_any_there=bool(self._present or self._away))


def _outcome_said(said: Any, attempt: int) -> messages.Outcome | messages.Paused | messages.Preempted:
    """Return how a trial has ended whose worker comes again: as that says, else it was lost."""
    try:
        if said["attempt"] == attempt:
            message = from_json(said["message"])
            if not isinstance(message, messages.Report | messages.Attribute | messages.Notice):
                return message
    except (ValueError, LookupError, TypeError):
        pass
    return messages.Failed("lost", "its worker was started anew")
