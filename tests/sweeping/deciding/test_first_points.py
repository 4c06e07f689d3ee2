"""A sweep begins with its config's own values, with a person's points, or with another sweep's best."""

import re

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf
from optuna.trial import create_trial

from runback.errors import InputError
from runback.sweeping.deciding.first_points import (
    config_point,
    first_points,
    keep_first_points,
    stored_first_points,
)
from runback.sweeping.deciding.proposer import Proposer
from runback.sweeping.space.search_identity import Search
from runback.sweeping.space.search_space import parse
from runback.sweeping.study.study_store import close_study, open_study
from runback.sweeping.sweep_settings import SweeperSettings

FILES = {
    "adam": {"learning_rate": 0.001},
    "sgd": {"learning_rate": 0.01, "momentum": 0.9},
    "rmsprop": {"learning_rate": 0.002, "momentum": 0.0},
}


class Composes:
    """Composes a config of one group, `optimizer`, and of a few keys, as Hydra does."""

    groups = frozenset({"optimizer"})

    def compose(self, number, overrides):
        given = {}
        for one in OverridesParser.create().parse_overrides(list(overrides)):
            given[one.get_key_element()] = one.value()
        choice = given.pop("optimizer", "adam")
        config = OmegaConf.create(
            {
                "optimizer": dict(FILES[choice]),
                "batch_size": 32,
                "dropout": 0.25,
                "note": "c",
                "widths": [32, 64],
                "hydra": {"runtime": {"choices": {"optimizer": choice}}},
            }
        )
        OmegaConf.set_struct(config, True)
        for key, value in given.items():
            if key.startswith("+"):
                OmegaConf.update(config, key[1:], value, force_add=True)
                continue
            if OmegaConf.select(config, key) is None:
                raise ConfigCompositionException(f"Could not override '{key}'.\nmore")
            OmegaConf.update(config, key, value)
        return config


SPACE = {
    "optimizer": "choice(sgd,adam,rmsprop)",
    "optimizer.learning_rate": "tag(log,interval(0.0001,0.1))",
    "batch_size": "choice(16,32,64)",
}


def points(first, tmp_path, **changed):
    space = parse({**SPACE, **changed}, [], None)
    return first_points(first, Composes(), space, tmp_path / "own")


def test_the_config_comes_first_and_each_choice_of_a_group_with_its_files_values(tmp_path):
    found, lines = points("config", tmp_path)
    assert found == [
        {"optimizer": "adam", "optimizer.learning_rate": 0.001, "batch_size": 32},
        {"optimizer": "sgd", "optimizer.learning_rate": 0.01, "batch_size": 32},
        {"optimizer": "rmsprop", "optimizer.learning_rate": 0.002, "batch_size": 32},
    ]
    assert lines == []


def test_a_key_that_some_choices_have_is_in_their_points_only(tmp_path):
    found, _ = points("config", tmp_path, **{"optimizer.momentum": "tag(sgd,interval(0.0,0.95))"})
    assert [point.get("optimizer.momentum") for point in found] == [None, 0.9, None]


def test_a_list_is_found_among_the_choices(tmp_path):
    found, _ = points("config", tmp_path, widths="choice([16,32],[32,64])")
    assert found[0]["widths"] == "[32,64]"


@pytest.mark.parametrize(
    ("key", "axis", "value"),
    [
        ("batch_size", "choice(64,128)", "32"),
        ("batch_size", "range(16,65,32)", "32"),
        ("batch_size", "int(interval(64,128))", "32"),
        ("dropout", "interval(0.3,0.5)", "0.25"),
        ("dropout", "range(0.0,0.6,0.1)", "0.25"),
        ("widths", "choice([16,32],[64,128])", r"\[32, 64\]"),
    ],
)
def test_values_outside_the_space_are_named_once_and_are_no_trial(tmp_path, key, axis, value):
    found, lines = points("config", tmp_path, **{key: axis})
    assert found == []
    assert len(lines) == 1
    assert re.search(f"outside the search space: {key}={value}", lines[0])


def test_one_choice_outside_costs_the_others_nothing(tmp_path):
    found, lines = points(
        "config", tmp_path, **{"optimizer.learning_rate": "tag(log,interval(0.0001,0.005))"}
    )
    assert [point["optimizer"] for point in found] == ["adam", "rmsprop"]
    outside = "no first trial, being outside the search space: optimizer.learning_rate=0.01"
    assert lines == [f"note: the values that optimizer=sgd has by itself are {outside}"]


def test_each_that_is_outside_is_named_with_its_own_values(tmp_path):
    found, lines = points("config", tmp_path, **{"optimizer.learning_rate": "tag(log,interval(0.005,0.05))"})
    assert [point["optimizer"] for point in found] == ["sgd"]
    outside = "no first trial, being outside the search space: optimizer.learning_rate"
    assert lines == [
        f"note: the config's own values are {outside}=0.001",
        f"note: the values that optimizer=rmsprop has by itself are {outside}=0.002",
    ]


def test_points_of_a_persons_own_begin_and_take_the_rest_from_the_config(tmp_path):
    found, _ = points(
        ["optimizer=sgd optimizer.learning_rate=0.05", {"batch_size": 64}, {"batch_size": 64}], tmp_path
    )
    assert found == [
        {"optimizer": "sgd", "optimizer.learning_rate": 0.05, "batch_size": 32},
        {"optimizer": "adam", "optimizer.learning_rate": 0.001, "batch_size": 64},
    ]


@pytest.mark.parametrize(
    ("point", "text"),
    [
        ("batch_size=48", "batch_size=48 is not in the search space"),
        ("optimizer.learning_rate=1.0", "optimizer.learning_rate=1.0 is not in the search space"),
        ("optimizer.rate=1.0", "Could not override 'optimizer.rate'"),
        (
            "optimizer=adam dropout=0.5",
            r"dropout is not searched \(.*; to set it for all trials, give dropout=0.5",
        ),
        (
            "optimizer=rmsprop optimizer.momentum=0.5",
            r"optimizer\.momentum is searched only with optimizer=sgd",
        ),
        ("batch_size=16 batch_size=32", "batch_size is given twice"),
        ("batch_size=16,32", "expected KEY=VALUE, one value for each key; got 'batch_size=16,32'"),
        ("batch_size=16 adam", "expected KEY=VALUE, one value for each key; got 'adam'"),
        ("~batch_size", "expected KEY=VALUE"),
        ("widths=[16, 32", r"expected KEY=VALUE, one value for each key; got 'widths=\[16, 32'"),
        ({"dropout": 0.5}, "dropout is not searched"),
    ],
)
def test_a_point_that_is_not_in_the_space_is_refused(tmp_path, point, text):
    with pytest.raises(InputError, match=text):
        points([point], tmp_path, **{"optimizer.momentum": "tag(sgd,interval(0.0,0.95))"})


def test_a_space_in_brackets_or_quotes_belongs_to_the_value(tmp_path):
    lists = {"widths": "choice([16,32],[32,64])", "note": "choice('a b',c)"}
    found, _ = points(["widths=[16, 32]  note='a b' batch_size=16", {"widths": [16, 32]}], tmp_path, **lists)
    assert [point["widths"] for point in found] == ["[16,32]", "[16,32]"]
    assert (found[0]["note"], found[0]["batch_size"]) == ("a b", 16)


def test_a_key_that_is_added_is_given_by_its_name(tmp_path):
    [point], _ = points(["extra=2"], tmp_path, **{"+extra": "choice(1,2)"})
    assert point["extra"] == 2


@pytest.mark.parametrize(
    ("choices", "value", "held"),
    [
        ("0,0.5", 0.0, 0),
        ("0.0,0.5", 0, 0.0),
        ("1e3,2e3", 1000, 1000.0),
        ("1,true", 1, "1"),
        ("1,true", True, "true"),
    ],
)
def test_an_equal_number_is_the_choice(tmp_path, choices, value, held):
    [point], _ = points([{"dropout": value}], tmp_path, dropout=f"choice({choices})")
    assert point["dropout"] == held
    assert type(point["dropout"]) is type(held)


@pytest.mark.parametrize(("choices", "value"), [("true,0.5", 1), ("0,0.5", False), ("1.0,true", 1)])
def test_a_switch_is_no_number(tmp_path, choices, value):
    with pytest.raises(InputError, match="is not in the search space"):
        points([{"dropout": value}], tmp_path, dropout=f"choice({choices})")


def study_of(folder, space, *trials):
    folder.mkdir()
    searched = parse(space, [], None)
    study = open_study(folder, folder.name, Search.of(searched, ["maximize"], {}))
    for value, params in trials:
        study.add_trial(create_trial(params=params, distributions=searched.distributions, value=value))
    close_study(study)


def test_the_best_of_another_sweep_begin_where_they_fit(tmp_path):
    good = {"optimizer": "sgd", "optimizer.learning_rate": 0.02, "batch_size": 16}
    worse = {"optimizer": "adam", "optimizer.learning_rate": 0.001, "batch_size": 64}
    wide = {"optimizer": "adam", "optimizer.learning_rate": 0.5, "batch_size": 64}
    space = {**SPACE, "optimizer.learning_rate": "tag(log,interval(0.0001,1.0))"}
    study_of(tmp_path / "other", space, (0.3, worse), (0.9, good), (0.5, wide))
    found, lines = points("best:other", tmp_path)
    assert found == [good, worse]
    assert lines == ["note: 1 of the 3 best trials of other do not fit this search space"]


def test_a_sweep_without_a_completed_trial_gives_a_line(tmp_path):
    study_of(tmp_path / "other", SPACE)
    assert points("best:other", tmp_path) == (
        [],
        ["note: other has no completed trial: this sweep begins with none of its points"],
    )


def test_a_study_keeps_the_points_that_it_began_with(tmp_path):
    space = parse({**SPACE, "widths": "choice([16,32],[32,64])", "dropout": "choice(1,2)"}, [], None)
    first, _ = first_points(["dropout=2 widths=[16,32] optimizer=sgd"], Composes(), space, tmp_path / "own")
    study = open_study(tmp_path, "s", Search.of(space, ["maximize"], {}))
    assert stored_first_points(study, "best:other", space) is None
    keep_first_points(study, "best:other", first)
    assert stored_first_points(study, "best:other", space) == first
    assert stored_first_points(study, "none", space) is None
    wider = parse({**SPACE, "widths": "choice([16,32],[32,64])", "dropout": "choice(1,true,2)"}, [], None)
    assert stored_first_points(study, "best:other", wider) == first
    narrower = parse({**SPACE, "widths": "choice([16,32],[32,64])", "dropout": "choice(1,3)"}, [], None)
    assert stored_first_points(study, "best:other", narrower) is None


def test_an_unknown_sweep_is_refused_with_the_nearest(tmp_path):
    study_of(tmp_path / "other", SPACE)
    with pytest.raises(InputError, match=r"unknown sweep 'othr'.*did you mean 'other'"):
        points("best:othr", tmp_path)


@pytest.mark.parametrize("first", ["none", None])
def test_a_search_may_begin_with_none(tmp_path, first):
    assert points(first, tmp_path) == ([], [])


@pytest.mark.parametrize("first", ["defaults", "best:", 3, ["a=1", 7], {"a": 1}])
def test_what_names_no_points_is_refused(first):
    with pytest.raises(InputError, match=r"hydra\.sweeper\.first must be config, none, best:SWEEP or a list"):
        SweeperSettings(first=first, direction="maximize").check()


def test_first_points_are_proposed_before_others_which_cover_the_space(tmp_path):
    space = parse(SPACE, [], None)
    first, _ = first_points("config", Composes(), space, tmp_path / "own")
    spec = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 9}
    study = open_study(tmp_path, "s", Search.of(space, ["maximize"], {}))
    proposer = Proposer(spec, space, 5, first=first, startup="covering")
    asked = []
    for _ in range(9):
        asked.append(proposer.propose(study, [], asked, None))
    assert [trial.params for trial in asked[:3]] == first
    for start in (3, 6):
        chosen = {trial.params["optimizer"] for trial in asked[start : start + 3]}
        assert chosen == {"sgd", "adam", "rmsprop"}


def test_the_configs_own_point_is_told_where_the_space_has_it():
    own = {"optimizer": "adam", "optimizer.learning_rate": 0.001, "batch_size": 32}
    assert config_point(Composes(), parse(SPACE, [], None)) == own
    narrow = {**SPACE, "batch_size": "choice(16,64)"}
    assert config_point(Composes(), parse(narrow, [], None)) is None
