"""Finalists and fresh seeds, from a real study."""

import optuna

from runback.sweeping.confirm.confirm_settings import ConfirmSettings
from runback.sweeping.confirm.finalists import ConfirmPlan, make_plan

SETTINGS = ConfirmSettings(top=2, seeds=4)
BUDGET = {"n_trials": 5, "timeout": None}


def study(*trials: tuple[dict, float | None], direction="maximize"):
    """Return a study with these params and values; None: pruned."""
    made = optuna.create_study(direction=direction)
    complete, pruned = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    for params, value in trials:
        made.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions={name: optuna.distributions.IntDistribution(0, 10_000) for name in params},
                value=value,
                state=pruned if value is None else complete,
            )
        )
    return made


def plan(found, settings=SETTINGS, *, seed=0, used=0):
    return make_plan(found, settings, seed=seed, used=used, budget=BUDGET)


def numbers(made: ConfirmPlan):
    return [one.trial for one in made.finalists]


def test_the_best_completed_trials_are_finalists():
    found = study(({"x": 1}, 0.5), ({"x": 2}, None), ({"x": 3}, 0.9), ({"x": 4}, 0.7))
    assert numbers(plan(found)) == [2, 3]
    assert [one.value for one in plan(found).finalists] == [0.9, 0.7]
    lowest = study(({"x": 1}, 0.5), ({"x": 3}, 0.9), ({"x": 4}, 0.7), direction="minimize")
    assert numbers(plan(lowest)) == [0, 2]


def test_trials_that_differ_only_in_their_seed_are_one_finalist():
    found = study(({"x": 1, "seed": 1}, 0.8), ({"x": 1, "seed": 2}, 0.9), ({"x": 2, "seed": 1}, 0.7))
    first, second = plan(found).finalists
    assert (first.trial, first.twins, first.params) == (1, [0], {"x": 1, "seed": 2})
    assert (second.trial, second.twins) == (2, [])


def test_fewer_trials_than_wanted_are_all_finalists():
    assert numbers(plan(study(({"x": 1}, 0.5)))) == [0]
    assert numbers(plan(study(({"x": 1}, None)))) == []


def test_every_finalist_gets_the_same_fresh_seeds_seed_by_seed():
    made = plan(study(({"x": 1}, 0.5), ({"x": 2}, 0.4)))
    assert len(set(made.seeds)) == 4
    assert made.points[:3] == [
        {"trial": 0, "seed": made.seeds[0]},
        {"trial": 1, "seed": made.seeds[0]},
        {"trial": 0, "seed": made.seeds[1]},
    ]
    assert len(made.points) == 8


def test_seeds_follow_from_the_sweeps_seed_and_more_of_them_begin_with_the_same():
    found = study(({"x": 1}, 0.5))
    assert plan(found, seed=1).seeds == plan(found, seed=1).seeds != plan(found, seed=2).seeds
    more = plan(found, ConfirmSettings(top=1, seeds=1000), seed=1).seeds
    assert more[:4] == plan(found, seed=1).seeds
    assert len(set(more)) == 1000


def test_no_seed_that_the_search_has_used_is_fresh():
    found = study(({"x": 1}, 0.5))
    drawn = plan(found).seeds
    assert drawn[0] not in plan(found, used=str(drawn[0])).seeds
    assert drawn[1] not in plan(study(({"seed": drawn[1]}, 0.5))).seeds


def test_a_plan_is_kept_as_it_is():
    made = plan(study(({"x": 1, "seed": 1}, 0.5), ({"x": 1, "seed": 2}, 0.9)))
    assert ConfirmPlan.from_json(made.as_json()) == made
