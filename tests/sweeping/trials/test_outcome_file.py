import os

import pytest

from runback.sweeping.trials import messages
from runback.sweeping.trials.outcome_file import FILE, read_outcome, write_outcome


@pytest.mark.parametrize("how", [messages.Completed((0.5, 2.0)), messages.Pruned()])
def test_how_a_trial_ended_is_read_as_it_was_written(tmp_path, how):
    write_outcome(tmp_path, how)
    assert read_outcome(tmp_path) == how


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "null", "{}", '{"values": "0.5"}', '{"values": ["0.5"]}', '{"values": [true]}',
        '{"values": [null]}', '{"values": {"a": 1}}', '{"pruned": 1}', '{"pruned": false}', "[" * 9000,
        f'{{"values": [1{", 1" * 100}]}}', f'{{"values": [1{"0" * 400}]}}', " " * 20_000 + "{}",
    ],
)  # fmt: skip
def test_what_no_trial_writes_says_nothing(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    assert read_outcome(tmp_path) is None


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / FILE)
    assert read_outcome(tmp_path) is None
