import threading
import time

import pytest

from runback.errors import DiskFull, StoreAway
from runback.tracking.write import background_delivery
from runback.tracking.write.background_delivery import BackgroundDelivery


class Work:
    """What a delivery does: fails as long as it is told to, or hangs."""

    def __init__(self):
        self.calls = 0
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.calls += 1
        self.gate.wait(60)
        if self.error is not None:
            raise self.error


@pytest.fixture
def work():
    return Work()


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(background_delivery, "PATIENCE", 0.3)
    monkeypatch.setattr(background_delivery, "PAUSE", 0.05)


def _wait_for(condition):
    deadline = time.monotonic() + 600
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def _seconds(action, *arguments):
    started = time.monotonic()
    action(*arguments)
    return time.monotonic() - started


def test_what_is_brought_is_there_when_the_call_returns(work):
    bearer = BackgroundDelivery(work)
    for count in (1, 2, 3):
        bearer.bring()
        assert work.calls == count
    bearer.stop()


def test_a_store_that_hangs_is_waited_for_once(work):
    bearer = BackgroundDelivery(work)
    work.gate.clear()
    assert _seconds(bearer.bring) >= 0.3
    assert _seconds(lambda: [bearer.bring() for _ in range(100)]) < 0.3
    work.gate.set()
    assert bearer.flush(30)
    work.gate.clear()
    assert _seconds(bearer.bring) >= 0.3
    work.gate.set()


def test_a_store_that_is_away_is_tried_until_it_is_back_and_told_of_once_an_outage(work):
    told = []
    bearer = BackgroundDelivery(work, told.append)
    for outage in ("first", "second"):
        work.error, before = StoreAway(outage), work.calls
        bearer.bring()
        _wait_for(lambda before=before: work.calls >= before + 4)
        work.error = None
        assert bearer.flush(30)
    assert [str(away) for away in told] == ["first", "second"]


def test_the_end_gives_up_on_a_store_that_stays_away(work):
    work.error = StoreAway("away")
    bearer = BackgroundDelivery(work)
    bearer.bring()
    assert 0.3 <= _seconds(bearer.flush, 0.3) < 10
    assert not bearer.flush(0.1)


def test_the_end_waits_for_a_long_delivery(work):
    bearer = BackgroundDelivery(work)
    work.gate.clear()
    bearer.bring()
    threading.Timer(1.0, work.gate.set).start()
    assert bearer.flush(0.2)


def test_another_error_comes_out_where_somebody_waits_and_the_next_call_works(work):
    bearer = BackgroundDelivery(work)
    work.error = DiskFull("full")
    with pytest.raises(DiskFull):
        bearer.bring()
    work.error = None
    bearer.bring()
    assert work.calls == 2


def test_a_stopped_delivery_starts_again_when_there_is_something_to_bring(work):
    bearer = BackgroundDelivery(work)
    for count in range(1, 21):
        bearer.bring()
        bearer.stop()
        assert work.calls == count
