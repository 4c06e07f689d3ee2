"""Says which private part of Optuna is no longer what `optuna_internals` and `StudyView` take it for."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, distribution_to_json
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState
from sqlalchemy import text

from runback.sweeping.deciding.proposer import proposed_trial
from runback.sweeping.study.optuna_internals import (
    close_connections,
    database_of,
    storage_of,
    study_id,
    trial_id,
)
from runback.sweeping.study.study_view import StudyView

SPACE = {"x": FloatDistribution(0.0, 1.0), "y": FloatDistribution(0.0, 1.0)}

INHERITED = {
    "check_trial_is_updatable",
    "get_best_trial",
    "get_n_trials",
    "get_trial_id_from_study_id_trial_number",
    "get_trial_number_from_id",
    "get_trial_param",
    "get_trial_params",
    "get_trial_system_attrs",
    "get_trial_user_attrs",
    "remove_session",
}
"""The methods of a storage that Optuna makes from the others, so that a view has them from Optuna."""

REFUSED = {
    "create_new_study",
    "delete_study",
    "get_all_studies",
    "set_study_user_attr",
    "set_trial_intermediate_value",
    "set_trial_state_values",
    "set_trial_user_attr",
}

SAMPLERS = {
    "random": optuna.samplers.RandomSampler,
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=2),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, n_startup_trials=2),
    "qmc": lambda seed: optuna.samplers.QMCSampler(seed=seed),
    "nsga2": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=4),
    "nsga3": lambda seed: optuna.samplers.NSGAIIISampler(seed=seed, population_size=4),
    "brute_force": lambda seed: optuna.samplers.BruteForceSampler(seed=seed),
}

PRUNERS = {
    "median": lambda: optuna.pruners.MedianPruner(n_startup_trials=2),
    "percentile": lambda: optuna.pruners.PercentilePruner(50.0, n_startup_trials=2),
    "asha": lambda: optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
    "hyperband": lambda: optuna.pruners.HyperbandPruner(min_resource=1, max_resource=8, reduction_factor=2),
    "patient": lambda: optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(), patience=1),
    "threshold": lambda: optuna.pruners.ThresholdPruner(lower=0.0),
    "wilcoxon": lambda: optuna.pruners.WilcoxonPruner(),
    "nop": optuna.pruners.NopPruner,
}


pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


@pytest.fixture
def study() -> optuna.Study:
    """Return a study in memory."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(direction="maximize", sampler=SAMPLERS["random"](1))


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[optuna.Study]:
    """Return a study in a database."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = RDBStorage(f"sqlite:///{tmp_path}/study.db")
    yield optuna.create_study(storage=storage, sampler=SAMPLERS["random"](1))
    storage.engine.dispose()


def methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


def finish(study: optuna.Study, count: int) -> None:
    for _ in range(count):
        trial = study.ask(SPACE)
        for step in range(1, 4):
            trial.report(trial.params["x"] * step, step)
        study.tell(trial, trial.params["x"])


def test_optuna_storage_has_no_abstract_method_that_the_view_lacks() -> None:
    assert set(BaseStorage.__abstractmethods__) <= set(vars(StudyView)), (
        "Optuna's storages have new methods: StudyView has to answer or to refuse them"
    )


def test_optuna_storage_has_no_further_method_that_the_view_would_inherit() -> None:
    assert methods(BaseStorage) - set(BaseStorage.__abstractmethods__) == INHERITED, (
        "Optuna's storages have other methods than before: see what StudyView inherits"
    )
    assert not INHERITED & set(vars(StudyView))


def test_optuna_storage_methods_have_the_parameters_of_the_view() -> None:
    answered = [name for name in vars(StudyView) if name in methods(BaseStorage) - REFUSED]
    assert answered
    for name in answered:
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (StudyView, BaseStorage))
        assert [*ours.parameters] == [*theirs.parameters], f"BaseStorage.{name} has other parameters"


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_view_refuses_by_name(study: optuna.Study, name: str) -> None:
    view = StudyView(study, [], proposed_trial(0, {}, {}))
    with pytest.raises(NotImplementedError, match=name):
        getattr(view, name)(0)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_sampler_asks_a_view_only_for_what_it_answers(study: optuna.Study, name: str) -> None:
    finish(study, 6)
    trials = study.get_trials(deepcopy=False)
    space = SPACE if name != "brute_force" else {"x": FloatDistribution(0.0, 1.0, step=0.5)}
    view = StudyView(study, trials if name != "brute_force" else [], proposed_trial(6, {}, {}), trials)
    view.study(SAMPLERS[name](1), optuna.pruners.HyperbandPruner(max_resource=8)).ask(space)
    assert view.own.params.keys() == space.keys()
    assert len(study.get_trials()) == 6


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_pruner_asks_a_view_only_for_what_it_answers(study: optuna.Study, name: str) -> None:
    finish(study, 6)
    trials = study.get_trials(deepcopy=False)
    own = proposed_trial(6, {"x": 0.1, "y": 0.1}, SPACE)
    own.intermediate_values = {step: 0.1 * step for step in range(1, 4)}
    view = StudyView(study, trials, own)
    pruner = PRUNERS[name]()
    assert pruner.prune(view.study(pruner=pruner), own) in (True, False)


def test_asking_a_view_creates_one_trial_and_takes_none_that_waits(study: optuna.Study) -> None:
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    view = StudyView(study, [], proposed_trial(0, {}, {}))
    assert view.study(SAMPLERS["random"](1)).ask(SPACE).params == view.own.params != {"x": 0.5, "y": 0.5}


def test_study_has_a_storage_and_an_id(study: optuna.Study) -> None:
    assert isinstance(storage_of(study), BaseStorage), "Study._storage is no storage any more"
    assert storage_of(study).get_study_name_from_id(study_id(study)) == study.study_name


def test_frozen_trial_has_the_id_by_which_its_storage_knows_it(study: optuna.Study) -> None:
    finish(study, 1)
    (trial,) = study.get_trials()
    assert storage_of(study).get_trial(trial_id(trial)) == trial


def test_study_cache_has_the_database_behind_it(stored: optuna.Study) -> None:
    assert isinstance(storage_of(stored)._backend, RDBStorage), "Optuna's cache has no `_backend` any more"
    close_connections(stored)
    assert storage_of(stored)._backend.engine.pool.checkedin() == 0


def test_second_study_is_created_in_the_storage_of_the_first(stored: optuna.Study) -> None:
    second = optuna.create_study(storage=storage_of(stored), study_name="second")
    assert storage_of(second) is storage_of(stored)
    assert {one.study_name for one in storage_of(stored).get_all_studies()} == {stored.study_name, "second"}


def test_storage_creates_a_whole_trial_from_a_template(stored: optuna.Study) -> None:
    template = proposed_trial(0, {"x": 0.5}, {"x": SPACE["x"]})
    template.user_attrs, template.system_attrs = {"a": 1}, {"b": [2]}
    created = storage_of(stored).get_trial(
        storage_of(stored).create_new_trial(study_id(stored), template_trial=template)
    )
    assert (created.number, created.state) == (0, TrialState.RUNNING)
    assert (created.params, created.user_attrs, created.system_attrs) == ({"x": 0.5}, {"a": 1}, {"b": [2]})


def test_storage_puts_a_running_trial_back_to_waiting(stored: optuna.Study) -> None:
    trial = stored.ask(SPACE)
    storage_of(stored).set_trial_state_values(trial._trial_id, TrialState.WAITING)
    assert stored.get_trials()[0].state == TrialState.WAITING


def test_cmaes_sampler_pickles_its_state_by_two_functions_of_its_global_pickle() -> None:
    import optuna.samplers._cmaes as optuna_cmaes

    tree = ast.parse(Path(optuna_cmaes.__file__).read_text("utf-8"))
    assert "pickle" in vars(optuna_cmaes), "replace_cmaes_pickle replaces what Optuna does not use"
    used = {node for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {node.attr for node in used if ast.unparse(node.value) == "pickle"} == {"dumps", "loads"}


def test_storage_keeps_a_choice_as_its_place_in_a_list(stored: optuna.Study) -> None:
    trial = stored.ask({"kind": CategoricalDistribution(["a", "b"])})
    with database_of(stored).connect() as connection:
        rows = connection.execute(
            text(
                "SELECT p.param_name, p.param_value, p.distribution_json FROM trial_params p "
                "JOIN trials t ON t.trial_id = p.trial_id WHERE t.study_id = :study"
            ),
            {"study": study_id(stored)},
        ).all()
    place = ["a", "b"].index(trial.params["kind"])
    written = distribution_to_json(CategoricalDistribution(["a", "b"]))
    assert rows == [("kind", place, written)], "extend_choices rewrites what Optuna keeps in another form"
