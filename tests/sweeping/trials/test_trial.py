import cloudpickle

from runback.sweeping.trials.trial import Trial


def test_a_trial_is_frozen_with_what_its_task_closes_over(tmp_path):
    values = [1.0]
    trial = Trial.of(lambda: values[0], number=3, sweep="s", folder=tmp_path, threads=1, parent=None)
    values[0] = 2.0
    assert cloudpickle.loads(trial.call)() == 1.0
    assert trial.label.name == "#3"
