"""What Optuna's CMA-ES keeps in a study is read back as data."""

import os
import pickle
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution

from runback.errors import InputError
from runback.sweeping.deciding.cmaes_state import read_safely

STATE = "cma:optimizer"
DISTRIBUTIONS = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")


def ask(study: optuna.Study, seed: int) -> optuna.Trial:
    read_safely()
    study.sampler = optuna.samplers.CmaEsSampler(seed=seed)
    return study.ask(DISTRIBUTIONS)


def run(study: optuna.Study, n: int) -> list[dict[str, float]]:
    params = []
    for seed in range(n):
        trial = ask(study, seed)
        study.tell(trial, (trial.params["x"] - 0.3) ** 2 + trial.params["y"])
        params.append(trial.params)
    return params


def test_a_state_is_read_as_optuna_reads_it(study: optuna.Study, tmp_path: Path) -> None:
    ours = run(study, 20)
    import optuna.samplers._cmaes as optuna_cmaes

    optuna_cmaes.pickle = pickle  # what Optuna itself has there
    other = optuna.create_study(storage=f"sqlite:///{tmp_path}/other.db")
    theirs = []
    for seed in range(20):
        other.sampler = optuna.samplers.CmaEsSampler(seed=seed)
        trial = other.ask(DISTRIBUTIONS)
        other.tell(trial, (trial.params["x"] - 0.3) ** 2 + trial.params["y"])
        theirs.append(trial.params)
    assert ours == theirs
    assert any(name.startswith(STATE) for trial in study.trials for name in trial.system_attrs)


class Shell:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("damage", ["forged", "torn"])
def test_a_forged_or_torn_state_is_refused_in_one_line(study, tmp_path, damage):
    run(study, 6)
    mark = tmp_path / "mark"
    state = pickle.dumps(Shell(mark)) if damage == "forged" else b"\x80\x04]"
    storage, last = study._storage, study.trials[-1]
    for name in list(last.system_attrs):
        if name.startswith(STATE):
            storage.set_trial_system_attr(last._trial_id, name, "")
    forged = study.ask(DISTRIBUTIONS)
    storage.set_trial_system_attr(forged._trial_id, f"{STATE}:0", state.hex())
    study.tell(forged, 0.0)

    with pytest.raises(InputError, match="start a new study with --new"):
        ask(study, 99)
    assert not mark.exists()
