import optuna
import pytest
from optuna.trial import TrialState

from runback.sweeping.reporting.sweep_cost import EnergyAccount, sweep_cost
from runback.sweeping.study.attributes import ENERGY


class Counted:
    """A meter whose counts a test sets."""

    def __init__(self):
        self.joules = {}

    def update(self):
        self.joules = {"cpu": self.joules.get("cpu", 0.0) + 1800.0}


def test_what_pruned_trials_would_have_taken_besides_is_at_the_pace_of_each(make_study):
    study = make_study(30)
    longest = max(
        max(trial.intermediate_values) for trial in study.trials if trial.state == TrialState.COMPLETE
    )
    pruned = [trial for trial in study.trials if trial.state == TrialState.PRUNED]
    cost = sweep_cost(study, {})
    assert cost.n_early == len(pruned) > 0
    wanted = sum(0.8 * (longest - max(trial.intermediate_values)) for trial in pruned)
    assert cost.saved_seconds == pytest.approx(wanted)
    took = sum((trial.datetime_complete - trial.datetime_start).total_seconds() for trial in study.trials)
    assert cost.training_seconds == pytest.approx(took)


def test_a_trial_that_says_how_long_it_would_have_been_is_believed(make_study):
    study = make_study(1, state=TrialState.PRUNED)
    trial = study.trials[0]
    assert sweep_cost(study, {}).n_early == 0  # nobody knows how long it would have been
    other = optuna.create_study(direction="maximize")
    trial.set_user_attr("epochs", "100")
    other.add_trial(trial)
    reached = max(trial.intermediate_values)
    assert sweep_cost(other, {}).saved_seconds == pytest.approx(0.8 * (100 - reached))


def test_a_sweep_without_steps_or_trials_has_saved_nothing(make_study):
    assert sweep_cost(make_study(3, directions=["maximize"] * 3, names=["a", "b", "c"]), {}).n_early == 0
    empty = sweep_cost(optuna.create_study(), {})
    assert (empty.training_seconds, empty.saved_seconds) == (0, 0)
    assert "energy of processors and GPUs not measured" in empty.text()


def test_the_energy_of_all_starts_of_a_sweep_is_added_up():
    study = optuna.create_study()
    first = EnergyAccount(study, Counted())
    first.update()
    assert first.joules() == {"cpu": 1800}
    first.store()
    second = EnergyAccount(study, Counted())
    second.update()
    second.store()
    assert second.joules() == {"cpu": 3600} == study.user_attrs[ENERGY]
    text = sweep_cost(study, second.joules()).text()
    assert "1.0 Wh of processors" in text
    assert "energy of GPUs not measured" in text


def test_a_machine_that_counts_nothing_writes_nothing():
    study = optuna.create_study()
    account = EnergyAccount(study)
    account._meter.joules = {}
    assert account.joules() == {}
    assert ENERGY not in study.user_attrs
