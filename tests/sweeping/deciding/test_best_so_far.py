"""Rungs of successive halving and Hyperband that compare the best value so far."""

import math
import pickle

import optuna
import pytest
from optuna.pruners import HyperbandPruner, SuccessiveHalvingPruner

from hydra_plugins.runback_sweeper.config import PRUNERS
from runback.errors import InputError
from runback.sweeping.deciding.best_so_far import BracketHalving, RungHalving
from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.deciding.pruning import LivePruning, OrderedPruning
from runback.sweeping.study.optuna_internals import trial_id
from runback.sweeping.study.study_store import pruner_for

RUNG = {"min_resource": 3, "reduction_factor": 2}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def ended_at(pruner, curves, direction="maximize"):
    """Return, for each curve in turn, the step at which its trial is ended; None: it is not."""
    study = optuna.create_study(direction=direction, pruner=pruner)
    return [live(study, pruner, curve) for curve in curves]


def live(study, pruner, curve):
    trial = study.ask()
    deciding = LivePruning(study, pruner, trial._trial_id)
    for step, value in enumerate(curve, 1):
        trial.report(value, step)
        if deciding.decide(step, value):
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return step
    study.tell(trial, curve[-1])
    return None


STEADY = [0.1, 0.2, 0.25, 0.26]
BAD_EPOCH = [0.1, 0.3, 0.2, 0.4]


def test_a_bad_epoch_at_a_rung_ends_a_trial_only_where_the_last_value_is_compared():
    assert ended_at(RungHalving(**RUNG), [STEADY, BAD_EPOCH]) == [None, None]
    assert ended_at(RungHalving(value="last", **RUNG), [STEADY, BAD_EPOCH]) == [None, 3]
    assert ended_at(SuccessiveHalvingPruner(**RUNG), [STEADY, BAD_EPOCH]) == [None, 3]


def test_the_best_is_the_least_where_less_is_better():
    curves = [[-value for value in curve] for curve in (STEADY, BAD_EPOCH)]
    assert ended_at(RungHalving(**RUNG), curves, "minimize") == [None, None]
    assert ended_at(RungHalving(value="last", **RUNG), curves, "minimize") == [None, 3]


def test_later_trials_are_compared_with_the_best_that_was_there():
    """The first trial's best is 0.3: its last value at the rung would let the second one pass."""
    between = [0.1, 0.2, 0.22, 0.3]
    assert ended_at(RungHalving(**RUNG), [BAD_EPOCH, between]) == [None, 3]
    assert ended_at(RungHalving(value="last", **RUNG), [BAD_EPOCH, between]) == [None, None]


def test_a_value_that_is_no_number_at_a_rung_ends_a_trial():
    assert ended_at(RungHalving(**RUNG), [[0.1, 0.3, math.nan]]) == [3]
    assert ended_at(RungHalving(**RUNG), [[math.nan, 0.3, 0.2]]) == [None]


def test_hyperband_compares_the_best_too():
    def pruner(value):
        return BracketHalving(value=value, min_resource=3, max_resource=3, reduction_factor=2)

    assert isinstance(pruner("best"), HyperbandPruner)  # samplers look for it
    assert ended_at(pruner("best"), [STEADY, BAD_EPOCH]) == [None, None]
    assert ended_at(pruner("last"), [STEADY, BAD_EPOCH]) == [None, 3]


@pytest.mark.parametrize(("value", "ends"), [("best", False), ("last", True)])
def test_an_ordered_sweep_decides_the_same_from_what_is_known(value, ends):
    study = optuna.create_study(direction="maximize")
    live(study, RungHalving(value=value, **RUNG), STEADY)
    own = proposed_trial(1, {}, {})
    ordered = OrderedPruning(study, RungHalving(value=value, **RUNG), study.get_trials(), own)
    assert [ordered.decide(step, one) for step, one in enumerate(BAD_EPOCH[:3], 1)] == [False, False, ends]
    assert ordered.notes == {"completed_rung_0": 0.3 if value == "best" else 0.2}


@pytest.mark.parametrize("name", ["asha", "hyperband"])
def test_the_config_offers_it_and_refuses_another_word(name):
    spec = {**PRUNERS[name], **({"max_resource": 9} if name == "hyperband" else {})}
    assert spec["value"] == "best"
    assert pickle.loads(pickle.dumps(pruner_for(spec))).prune is not None  # noqa: S301 - our own
    with pytest.raises(InputError, match=r"hydra\.sweeper\.pruner\.value must be best or last; got 'mean'"):
        pruner_for({**spec, "value": "mean"})
    with pytest.raises(InputError, match="no such parameter"):
        pruner_for({**spec, "min_resuorce": 2})
    with pytest.raises(InputError, match="reduction_factor"):
        pruner_for({**spec, "reduction_factor": 0})


def test_hyperband_refuses_a_whole_training_shorter_than_its_first_rung():
    with pytest.raises(InputError, match="max_resource must be at least min_resource; got 2 and 3"):
        pruner_for({**PRUNERS["hyperband"], "max_resource": 2, "min_resource": 3})


def test_the_study_keeps_what_was_reported():
    study = optuna.create_study(direction="maximize")
    live(study, RungHalving(**RUNG), BAD_EPOCH)
    assert study.trials[0].intermediate_values == dict(enumerate(BAD_EPOCH, 1))
    assert trial_id(study.trials[0]) == 0
