"""A thread that brings what waits to a store, so that nobody has to wait for one that is away."""

import threading
import time
from collections.abc import Callable

from runback.errors import StoreAway

PATIENCE = 2.0
"""Seconds that a training waits for its store, once an outage: within the 3 s that it may cost an epoch."""

PAUSE = 1.0
"""Seconds from one try to the next while the store is away."""


class BackgroundDelivery:
    """Calls `work` in a thread of its own whenever there is something to bring, until it succeeds.

    `work` brings all there is; it raises StoreAway to be called again. Anything else that it raises comes out
    of the next `bring` or `flush`. `on_outage` is called, in the thread, once an outage.
    """

    def __init__(
        self, work: Callable[[], None], on_outage: Callable[[StoreAway], None] = lambda error: None
    ) -> None:
        self._work, self._on_outage = work, on_outage
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wanted = self._done = 0
        self._is_away = self._is_slow = self._is_stopped = False
        self._error: BaseException | None = None

    def bring(self) -> None:
        """Have everything brought that there is by now, and wait until it is, for PATIENCE at most.

        Does not wait at all while the store is away, or has not yet done what it was last waited for.
        """
        with self._changed:
            target = self._order()
            if not (self._is_away or self._is_slow):
                self._is_slow = not self._changed.wait_for(lambda: self._has(target), PATIENCE)
            self._raise()

    def order(self) -> None:
        """Have everything brought that there is by now, without waiting."""
        with self._changed:
            self._order()

    def answered(self) -> None:
        """Note, from within `work`, that the store has taken something: it is not away any more."""
        with self._changed:
            self._is_slow = self._is_slow or self._is_away
            self._is_away = False

    def flush(self, seconds: float) -> bool:
        """Wait until everything is brought and return True, or until the store was away for `seconds`."""
        with self._changed:
            target = self._order()
            away_since: float | None = None
            while not self._done >= target:
                self._raise()
                away_since = (away_since or time.monotonic()) if self._is_away else None
                if away_since is not None and time.monotonic() - away_since >= seconds:
                    return False
                self._changed.wait(0.1)
            self._raise()
            return True

    def stop(self) -> None:
        """Let the thread end; it is not waited for, as it may be stuck in a call."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def _order(self) -> int:
        self._wanted += 1
        self._is_stopped = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
            self._thread.start()
        self._changed.notify_all()
        return self._wanted

    def _has(self, target: int) -> bool:
        return self._done >= target or self._is_away or self._error is not None

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopped or self._wanted > self._done)
                if self._is_stopped:
                    self._thread = None
                    return
                target = self._wanted
            self._try(target)

    def _try(self, target: int) -> None:
        error: BaseException | None = None
        try:
            self._work()
        except StoreAway as away:
            return self._note_outage(away)
        except BaseException as unexpected:  # it comes out where somebody waits, not in this thread
            error = unexpected
        with self._changed:
            self._done, self._error = target, error
            self._is_away = self._is_slow = False
            self._changed.notify_all()
        return None

    def _note_outage(self, away: StoreAway) -> None:
        with self._changed:
            is_first, self._is_away = not self._is_away, True
            self._changed.notify_all()
        if is_first:
            self._on_outage(away)
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped, PAUSE)
