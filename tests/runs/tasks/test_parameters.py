import dataclasses
import enum
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Ge, Interval
from omegaconf import OmegaConf
from pydantic import Field

from runback.errors import InputError
from runback.runs.tasks.parameters import Parameters
from runback.runs.tasks.task import Task


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Rate:
    value: Annotated[float, Ge(0)] = 0.1
    kind: Literal["constant", "cosine"] = "constant"


@dataclasses.dataclass
class Optimizer:
    rate: Rate = dataclasses.field(default_factory=Rate)
    momentum: float = 0.9


def everything(
    run,
    *,
    rate: Annotated[float, Interval(gt=0, le=1)] = 1e-3,
    n: Annotated[int, Field(ge=1)] = 3,
    is_deep: bool = False,
    name: str | None = None,
    path: Path = Path("data"),
    colour: Colour = Colour.RED,
    mode: Literal["x", "y"] = "x",
    sizes: tuple[int, ...] = (1, 2),
    rates: list[float] = [0.5],  # noqa: B006 - a task's default
    weights: dict[str, float] = {"a": 1.0},  # noqa: B006
    optimizer: Optimizer = Optimizer(),  # noqa: B008
    either: int | str = 1,
    whatever: Any = None,
):
    return 0.0


def composed(function, **overrides):
    parameters = Parameters.of(function)
    config = OmegaConf.merge(OmegaConf.structured(parameters.schema), OmegaConf.create(overrides))
    return parameters.arguments(OmegaConf.to_container(config))


def test_the_defaults_are_those_of_the_signature():
    assert composed(everything) == {
        "rate": 1e-3,
        "n": 3,
        "is_deep": False,
        "name": None,
        "path": Path("data"),
        "colour": Colour.RED,
        "mode": "x",
        "sizes": (1, 2),
        "rates": [0.5],
        "weights": {"a": 1.0},
        "optimizer": Optimizer(),
        "either": 1,
        "whatever": None,
    }


def test_values_arrive_with_the_types_that_were_declared():
    given = composed(
        everything,
        path="elsewhere",
        colour="BLUE",
        sizes=[3, 4],
        optimizer={"rate": {"value": 1, "kind": "cosine"}},
        either="two",
        whatever=[1, {"a": None}],
    )
    assert given["path"] == Path("elsewhere")
    assert given["colour"] is Colour.BLUE
    assert given["sizes"] == (3, 4)
    assert given["optimizer"] == Optimizer(Rate(1.0, "cosine"))
    assert (given["either"], given["whatever"]) == ("two", [1, {"a": None}])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"rate": 0}, "^rate: input should be greater than 0; got 0"),
        ({"rate": 2.0}, "^rate: input should be less than or equal to 1; got 2.0"),
        ({"n": 0}, "^n: input should be greater than or equal to 1; got 0"),
        ({"mode": "z"}, "^mode: input should be 'x' or 'y'; got 'z'"),
        ({"optimizer": {"rate": {"value": -1}}}, "^optimizer.rate.value: input should be greater than"),
        ({"optimizer": {"rate": {"kind": "step"}}}, "^optimizer.rate.kind: input should be 'constant' or"),
    ],
)
def test_a_value_out_of_its_bounds_is_named(overrides, message):
    with pytest.raises(InputError, match=message):
        composed(everything, **overrides)


def test_a_parameter_without_a_default_must_be_set():
    def needs(run, *, rate: float):
        return 0.0

    with pytest.raises(InputError, match=r"^rate must be set: it has no default"):
        composed(needs)
    assert composed(needs, rate=0.5) == {"rate": 0.5}


def untyped(run, rate=0.1): ...
def of_arrays(run, rate: np.ndarray = None): ...
def wrong_default(run, rate: float = "fast"): ...
def out_of_bounds(run, rate: Annotated[float, Ge(1)] = 0.5): ...
def without_run(*, rate: float = 0.1): ...
def nothing(): ...
def several(run, *rates: float): ...
def any_word(run, **words: float): ...
def reserved(run, hydra: int = 1): ...
def bounded_text(run, name: Annotated[str, Ge(3)] = "x"): ...
async def waiting(run, rate: float = 0.1): ...


def yielding(run, rate: float = 0.1):
    yield 1.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (untyped, "task untyped: parameter rate has no type: write rate: float = 0.1"),
        (of_arrays, "parameter rate must have a type that a config can hold .* got ndarray"),
        (wrong_default, "task wrong_default: the default of rate: input should be a valid number"),
        (out_of_bounds, "the default of rate: input should be greater than or equal to 1; got 0.5"),
        (without_run, "task without_run must take the run first, as in def without_run"),
        (nothing, "task nothing must take the run first"),
        (several, "task several: parameter .*rates.* has no name on the command line"),
        (any_word, "task any_word: parameter .*words.* has no name on the command line"),
        (reserved, "no parameter can be called hydra"),
        (bounded_text, "the default of name: Unable to apply constraint 'ge' to supplied value x"),
        (waiting, "task waiting is async"),
        (yielding, "task yielding yields"),
    ],
)
def test_a_function_that_is_no_task_is_refused(function, message):
    with pytest.raises(InputError, match=message):
        Parameters.of(function)


def test_a_metrics_name_is_no_function():
    with pytest.raises(InputError, match="write objective=… for a metric's name"):
        Task("loss")


@dataclasses.dataclass
class Picky:
    size: int = 1

    def __post_init__(self):
        if self.size < 0:
            raise TypeError("size is below zero")


def test_bounds_of_another_type_and_a_dataclass_s_own_errors_are_one_line():
    def bounded(run, *, name: Annotated[str, Ge(0)] = "x"):
        return 1.0

    def picky(run, *, given: Picky):
        return 1.0

    with pytest.raises(InputError, match=r"task bounded: the default of name: .*got 'x'"):
        Parameters.of(bounded)
    with pytest.raises(InputError, match="given: size is below zero"):
        Parameters.of(picky).arguments({"given": {"size": -1}})
