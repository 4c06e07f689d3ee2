import optuna
import pytest
from optuna.trial import TrialState, create_trial

from runback.sweeping.study.states import has_result


@pytest.mark.parametrize(
    ("state", "attributes", "expected"),
    [
        (TrialState.COMPLETE, {}, True),
        (TrialState.PRUNED, {}, True),
        (TrialState.PRUNED, {"ended_by": "input", "failure": "input: no such network"}, False),
        (TrialState.FAIL, {"ended_by": "code", "failure": "code: a bug"}, False),
    ],
)
def test_a_failure_is_no_result_though_it_counts_as_pruned(state, attributes, expected):
    study = optuna.create_study()
    value = 1.0 if state == TrialState.COMPLETE else None
    study.add_trial(create_trial(state=state, value=value, user_attrs=attributes))
    assert has_result(study.trials) == expected
    assert not has_result([])
