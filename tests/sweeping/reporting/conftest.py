"""Studies as sweeps leave them, made at once."""

import datetime
import math
import random

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from runback.sweeping.study.study_store import keep_names

BEGAN = datetime.datetime(2026, 11, 2, 9, 0)

SPACE = {
    "training.epochs": IntDistribution(8, 16),
    "training.batch_size": CategoricalDistribution([16, 32, 64]),
    "model.conv_dropout": FloatDistribution(0.0, 0.5),
    "model.dense_dropout": FloatDistribution(0.0, 0.6),
    "optimizer": CategoricalDistribution(["sgd", "adam", "rmsprop"]),
    "optimizer.learning_rate": FloatDistribution(0.0005, 0.02, log=True),
    "augmentation": CategoricalDistribution(["none", "shift"]),
}

WIDE = {
    **SPACE,
    "model.dense_width": IntDistribution(16, 1024, log=True),
    "optimizer.weight_decay": FloatDistribution(1e-6, 1e-2, log=True),
    "model.widths": CategoricalDistribution(["[16,32]", "[32,64]", "[32,64,128]"]),
}


@pytest.fixture(scope="session")
def make_study():
    return _make_study


def _make_study(count, *, space=SPACE, directions=("maximize",), names=("val_accuracy",), state=None):
    """Return a study in memory with `count` trials, some pruned and some failed, in two slots.

    With `state` all are in this one.
    """
    study = optuna.create_study(study_name="digits", directions=list(directions))
    keep_names(study, list(names))
    generator = random.Random(0)  # noqa: S311 - no secrets
    free = [BEGAN, BEGAN]
    for number in range(count):
        slot = free.index(min(free))
        trial = make_trial(number, generator, space, len(directions), free[slot], state)
        study.add_trial(trial)
        free[slot] = trial.datetime_complete + datetime.timedelta(seconds=0.3)
    return study


def make_trial(number, generator, space, objectives, began, state):
    params = {name: draw(generator, axis) for name, axis in space.items()}
    quality = 0.98 - 0.3 * (params.get("model.conv_dropout", 0.2) - 0.15) ** 2 * 4
    rate = params.get("optimizer.learning_rate", 0.003)
    quality -= 0.05 * math.log10(rate / 0.003) ** 2 + 0.02 * generator.random()
    epochs = params.get("training.epochs", 8)
    drawn = generator.choices([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL], [0.6, 0.34, 0.06])[0]
    state = state or (TrialState.COMPLETE if objectives > 1 or number == 0 else drawn)
    reached = epochs if state == TrialState.COMPLETE else max(1, epochs // 3)
    curve = {} if objectives > 1 else {e: quality - 0.6 * math.exp(-0.4 * e) for e in range(1, reached + 1)}
    attributes = {"run_id": f"{number:032x}"}
    if state == TrialState.PRUNED:
        attributes["pruned_at"] = reached
    if state == TrialState.FAIL:
        attributes |= {"failure": "lost: its process was killed by SIGKILL", "ended_by": "lost"}
    values = [quality, 1000 + 9000 * (1 - quality) + 500 * generator.random(), 3.0][:objectives]
    return FrozenTrial(
        number=number, trial_id=number, state=state, value=None,
        values=values if state == TrialState.COMPLETE else None,
        datetime_start=began, datetime_complete=began + datetime.timedelta(seconds=0.8 * reached),
        params=params, distributions=dict(space), user_attrs=attributes, system_attrs={},
        intermediate_values=curve,
    )  # fmt: skip


def draw(generator, axis):
    match axis:
        case CategoricalDistribution():
            return generator.choice(axis.choices)
        case IntDistribution(log=True):
            return round(math.exp(generator.uniform(math.log(axis.low), math.log(axis.high))))
        case IntDistribution():
            return generator.randint(axis.low, axis.high)
        case FloatDistribution(log=True):
            return math.exp(generator.uniform(math.log(axis.low), math.log(axis.high)))
        case _:
            return generator.uniform(axis.low, axis.high)
