import argparse
import enum
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from runback.errors import InputError
from runback.runs.started.given_config import given_config
from runback.system.config.written_config import resolved, written


@dataclass
class Inner:
    rates: tuple[float, ...] = (0.1, 0.2)


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    path: Path = Path("a/b")


class Colour(enum.Enum):
    red = 1


@pytest.mark.parametrize(
    ("config", "tree"),
    [
        (None, {}),
        ({}, {}),
        ({"lr": np.float32(0.5), "n": np.int64(3)}, {"lr": 0.5, "n": 3}),
        ({"a": {"b": [1, (2, 3)]}, "c": {"y", "x"}}, {"a": {"b": [1, [2, 3]]}, "c": ["x", "y"]}),
        (argparse.Namespace(lr=0.1, name="x", none=None), {"lr": 0.1, "name": "x", "none": None}),
        (Outer(), {"inner": {"rates": [0.1, 0.2]}, "path": Path("a/b")}),
        (OmegaConf.create({"a": 1, "b": "${a}"}), {"a": 1, "b": 1}),
        ({"colour": Colour.red}, {"colour": Colour.red}),
    ],
)
def test_a_config_of_any_kind_is_one_with_the_keys_of_every_run(config, tree):
    found = resolved(given_config(config, "mine"))
    assert found == {**tree, "run": {"seed": 0, "threads": None, "experiment": "mine"}}


@pytest.mark.parametrize(
    ("config", "run"),
    [
        ({"seed": 7}, {"seed": 7}),
        ({"seed": 7, "run": {"seed": 8}}, {"seed": 8}),
        ({"seed": "many"}, {"seed": 0}),
        ({"run": {"experiment": "other", "mine": 1}}, {"experiment": "other", "mine": 1}),
    ],
)
def test_its_own_keys_come_first(config, run):
    assert run.items() <= resolved(given_config(config, "mine"))["run"].items()


def test_threads_that_are_given_replace_its_own():
    assert given_config({"run": {"threads": 4}}, "mine", 2).run.threads == 2


@pytest.mark.parametrize("config", [3, "lr=0.1", [1], {"f": print}, {"x": np.zeros(3)}, {"run": [1]}, Outer])
def test_what_no_config_can_hold_is_refused(config):
    with pytest.raises(InputError, match=r"runback\.start takes|the config's key run"):
        given_config(config, "mine")


def test_a_path_is_written_as_its_text():
    assert written(given_config({"a": [Path("x/y")]}, "mine")).tree["a"] == ["x/y"]
