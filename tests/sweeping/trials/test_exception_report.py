import pytest

from runback.errors import DataError, Diverged, InputError, TrainingError
from runback.sweeping.trials.exception_report import failed

REASONS = [
    (Diverged("diverged: loss is nan after epoch 2"), "diverged", "loss is nan after epoch 2"),
    (TrainingError("cannot go on"), "code", "cannot go on"),
    (InputError("seed must be a number"), "input", "seed must be a number"),
    (DataError("a.png is broken"), "data", "a.png is broken"),
    (ValueError("a bug"), "code", "ValueError: a bug"),
    (ValueError(""), "code", "ValueError:"),
]


@pytest.mark.parametrize(("error", "kind", "reason"), REASONS, ids=lambda one: str(one)[:20])
def test_a_reason_says_nothing_that_its_kind_says_already(error, kind, reason):
    failure = failed(error)
    assert (failure.kind, failure.reason) == (kind, reason)
