import math

import pytest

from runback.sweeping.trials import messages
from runback.sweeping.trials.remote.message_text import as_json, from_json

MESSAGES = [
    messages.Report(3, 0.1),
    messages.Attribute("run_id", "a1"),
    messages.Notice(("one", "two")),
    messages.Completed((0.1, -2.0)),
    messages.Pruned(),
    messages.Paused(),
    messages.Preempted("told to leave"),
    messages.Failed("code", "ValueError: no", "Traceback"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_message_is_read_as_it_was_sent(message):
    assert from_json(as_json(message)) == message


def test_what_is_no_number_stays_so():
    assert math.isnan(from_json(as_json(messages.Report(1, math.nan))).value)
    assert from_json(as_json(messages.Report(1, -math.inf))).value == -math.inf


@pytest.mark.parametrize(
    "content",
    [
        *(None, 1, "pruned", [], {}, {"pruned": {}, "paused": {}}, {"unfit": {}}, {"report": {"step": 1}}),
        {"report": {"step": 1.5, "value": 1.0}},
        {"report": {"step": True, "value": 1.0}},
        {"report": {"step": 1, "value": "1"}},
        {"attribute": {"name": "a", "value": ["b"]}},
        {"notice": {"lines": [1]}},
        {"completed": {"values": 1}},
        {"failed": {"kind": "unheard of", "reason": "", "traceback": ""}},
        {"failed": {"kind": ["code"], "reason": "", "traceback": ""}},
        {"attribute": {"name": "a", "value": "b" * 200_000}},
    ],
)
def test_anything_else_is_no_message(content):
    with pytest.raises(ValueError, match="expected"):
        from_json(content)
