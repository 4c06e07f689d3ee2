"""What a sampler is given, before any trial is proposed."""

import pytest

from runback.errors import InputError
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.study_store import open_study

SPACE = parse({"x": "interval(0, 1)", "kind": "choice(a,b)"}, [], None)


@pytest.mark.parametrize("startup", ["random", "covering"])
@pytest.mark.parametrize("name", ["n_startup_trials", "n_ei_candidates"])
@pytest.mark.parametrize("value", ["ten", None, -1, 2.5, True])
def test_a_number_that_is_none_is_refused_at_once(startup, name, value):
    spec = {"_target_": "optuna.samplers.TPESampler", name: value}
    text = rf"hydra\.sweeper\.sampler\.{name} must be a whole number from 0; got {value!r}"
    with pytest.raises(InputError, match=text):
        Proposer(spec, SPACE, 0, startup=startup)


@pytest.mark.parametrize("sampler", ["TPESampler", "QMCSampler", "RandomSampler"])
def test_a_seed_may_be_below_zero(tmp_path, sampler):
    study = open_study(tmp_path, "s", Search.of(SPACE, ["maximize"], {}))
    spec = {"_target_": f"optuna.samplers.{sampler}"}
    for startup in ("random", "covering"):
        proposer = Proposer(spec, SPACE, -3, startup=startup)
        first, other = proposer.propose(study, [], [], None), Proposer(spec, SPACE, -4, startup=startup)
        assert 0 <= first.params["x"] <= 1
        assert first.params != other.propose(study, [], [], None).params
