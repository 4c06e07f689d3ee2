import pytest

from runback.system.text.formatting import LONGEST_NAME, duration, run_name, short_names


def test_a_name_is_short_where_no_other_is_like_it():
    names = ["optimizer.name", "optimizer.learning_rate", "model.width", "data.width", "seed"]
    assert list(short_names(names).values()) == [
        *("optimizer", "learning_rate", "model.width", "data.width", "seed"),
    ]


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s")])
def test_a_duration_is_in_minutes_and_seconds(seconds, text):
    assert duration(seconds) == text


def test_a_run_is_named_by_what_is_special_about_it():
    params = {"training.batch_size": 64, "optimizer": "adam", "optimizer.learning_rate": 0.00312, "seed": 7}
    assert run_name(params) == "adam bs=64 lr=0.00312 seed=7"
    assert run_name({"model.widths": "[4,8]", "model.bias": True}) == "widths=[4,8] bias=True"


def test_a_long_name_loses_its_end():
    name = run_name({f"model.knob{number}": number for number in range(100)})
    assert len(name) <= LONGEST_NAME
    assert name.endswith(" …")
