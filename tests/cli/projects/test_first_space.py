"""The first search space of a task: its declared ranges, and guesses that its parameters take."""

import enum
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import yaml
from annotated_types import Ge, Gt, Interval, Lt
from pydantic import Field

from runback.cli.projects.first_space import FirstSpace
from runback.errors import InputError
from runback.runs.tasks.task import task


class Norm(enum.Enum):
    NONE = 0
    BATCH = 1


@dataclass
class Network:
    width: int = 64
    name: str = "plain"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5


NETWORK = Network()


def space(function, **options):
    return FirstSpace.of(task(objective="val_loss")(function), has_conf=False, **options)


def expressions(function):
    return {one.key: one.expression for one in space(function).searched}


def test_ranges_and_choices_are_searched_as_declared():
    def train(
        run,
        *,
        rate: Annotated[float, Interval(gt=0, le=1)] = 0.1,
        dropout: Annotated[float, Interval(ge=0, le=0.8)] = 0.5,
        layers: Annotated[int, Interval(ge=1, le=6)] = 3,
        units: Annotated[int, Interval(gt=0, lt=10)] = 4,
        kind: Literal["relu", "g e"] = "relu",
        norm: Norm = Norm.NONE,
        bias: bool = True,
        needed: Annotated[float, Interval(ge=2, le=3)],
    ) -> float:
        return 0.0

    assert expressions(train) == {
        "rate": "tag(log, interval(0.01, 1.0))",
        "dropout": "interval(0.0, 0.8)",
        "layers": "int(interval(1, 6))",
        "units": "int(interval(1, 9))",
        "kind": "choice(relu, 'g e')",
        "norm": "choice(NONE, BATCH)",
        "bias": "choice(false, true)",
        "needed": "interval(2.0, 3.0)",
    }


def test_guesses_are_around_the_default_and_within_what_is_valid():
    def train(
        run,
        *,
        rate: float = 0.001,
        momentum: float = 0.9,
        scale: float = 2.0,
        decay: Annotated[float, Interval(ge=0, le=1)] = 1e-4,
        tiny: Annotated[float, Ge(0.0009)] = 0.001,
        batch_size: int = 32,
        width: Annotated[int, Gt(16)] = 32,
        narrow: Annotated[int, Lt(60)] | None = 32,
    ) -> float:
        return 0.0

    assert expressions(train) == {
        "rate": "tag(log, interval(0.0001, 0.01))",
        "momentum": "interval(0.09, 0.95)",
        "scale": "tag(log, interval(0.2, 20.0))",
        "decay": "tag(log, interval(1e-05, 0.001))",
        "tiny": "interval(0.0009, 0.01)",
        "batch_size": "choice(16, 32, 64)",
        "width": "choice(32, 64)",
        "narrow": "choice(16, 32)",
    }


def test_what_has_no_range_to_guess_is_left_and_named():
    def train(
        run,
        *,
        seed: int = 0,
        epochs: int = 10,
        folds: int = 1,
        shift: float = 0.0,
        path: str = "data.csv",
        sizes: tuple[int, ...] = (4, 8),
        network: Network = NETWORK,
    ) -> float:
        return 0.0

    found = space(train)
    assert {one.key: one.expression for one in found.searched} == {
        "network.width": "choice(32, 64, 128)",
        "network.dropout": "interval(0.0, 0.75)",
    }
    assert found.fixed == ["seed", "epochs", "folds", "shift", "path", "sizes", "network.name"]
    assert "and leaves as they are: seed, epochs" in found.lines()[-1]


def test_a_task_without_parameters_is_repeated_with_other_seeds():
    def train(run) -> float:
        return 0.0

    found = space(train)
    assert [(one.key, one.expression) for one in found.searched] == [("run.seed", "choice(0, 1, 2, 3)")]
    config = yaml.safe_load(found.sweep_file("train.py"))
    assert config == {"hydra": {"sweeper": {"params": {"run.seed": "choice(0, 1, 2, 3)"}}}}


def test_the_file_of_a_sweep_is_yaml_with_the_space_a_budget_and_a_pruner():
    def train(run, *, rate: float = 0.1, kind: Literal["a: b", "it's #1"] = "a: b") -> float:
        return 0.0

    text = space(train).sweep_file("train.py")
    assert text.startswith("# @package _global_\n# The first sweep of train.py: 16 trials")
    assert "#   runback sweep train.py +sweeps=quickstart\n" in text
    config = yaml.safe_load(text)
    assert config["defaults"] == [
        {"override /hydra/sweeper/sampler": "tpe"},
        {"override /hydra/sweeper/pruner": "promote"},
    ]
    assert config["hydra"]["sweeper"]["n_trials"] == 16
    assert config["hydra"]["sweeper"]["params"] == {one.key: one.expression for one in space(train).searched}


def test_a_parameter_without_default_and_range_cannot_be_swept_at_once():
    def train(run, *, folder: str) -> float:
        return 0.0

    with pytest.raises(InputError, match="parameter folder must have a default"):
        space(train)
    assert FirstSpace.of(task(objective="val_loss")(train), has_conf=True).fixed == ["folder"]
