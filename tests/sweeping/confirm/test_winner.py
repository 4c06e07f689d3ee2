"""Which run is registered, and when the champion changes: in a real store, without training anything."""

import json
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelOutput

from runback.errors import InputError
from runback.statistics.paired_seeds import standings
from runback.sweeping.confirm.confirm_results import Confirmed, Training
from runback.sweeping.confirm.finalists import ConfirmPlan, Finalist
from runback.sweeping.confirm.winner import median_run, register_winner
from runback.tracking.layout import Layout
from runback.tracking.registry import champion, crown, register
from runback.tracking.store import open_store
from runback.tracking.write.run_writer import start_run

GOOD = [0.90, 0.91, 0.92, 0.93, 0.94]
BETTER = [0.95, 0.96, 0.97, 0.98, 0.99]
POOR = [0.80, 0.82, 0.81, 0.83, 0.80]


@pytest.fixture
def store(tmp_path, fresh_database, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    layout = Layout(tmp_path)
    layout.mlruns.mkdir()
    layout.database.write_bytes(Path(fresh_database).read_bytes())
    return open_store(layout)


def trained(store, sweep="s", *, has_model=True, data="d") -> str:
    """Make a run of a sweep as a training leaves it, with an empty model."""
    run = start_run(
        store,
        experiment="e",
        name="r",
        folder=store.layout.mlruns / "r",
        params={"training.objective": "val_accuracy"},
        tags={"runback.sweep": sweep, "runback.kind": "confirm", "runback.data_hash.validation": data},
        description="",
    )
    if has_model:
        found = store.client.get_run(run.id)
        model = store.client.create_logged_model(found.info.experiment_id, "model", source_run_id=run.id)
        store.client.log_outputs(run.id, [LoggedModelOutput(model.model_id, step=1)])
    run.finish("FINISHED")
    return run.id


def confirmed(store, *values, maximize=True, sweep="s", **facts) -> Confirmed:
    """Return the results of finalists 0, 1, ... with these values on seeds 1, 2, ..."""
    seeds = list(range(1, len(values[0]) + 1))
    finalists = [Finalist(trial, 1.0, {"x": trial}, []) for trial in range(len(values))]
    run_id = trained(store, sweep, **facts)  # one for all is enough
    trainings = [
        Training(trial, seed, one[seed - 1], run_id) for trial, one in enumerate(values) for seed in seeds
    ]
    known = standings(dict.fromkeys(range(len(values)), 1.0), dict(enumerate(values)), maximize=maximize)
    return Confirmed(sweep, maximize, ConfirmPlan(finalists, seeds, "seed", {}), trainings, known)


def test_the_first_winner_is_the_champion_whatever_it_is_like(store):
    result = confirmed(store, GOOD, POOR)
    told = register_winner(store, result)
    version = champion(store, "runback-s")
    assert told == f"Registered as runback-s version 1 (trial 0, run {version.run_id}), the champion."
    assert version.run_id == result.trainings[2].run_id
    assert json.loads(version.tags["runback.confirmed_values"]) == GOOD
    found = store.client.get_model_version("runback-s", "1")
    assert "mean **0.9200**, 95 % interval 0.9004 to 0.9396" in found.description
    assert "Trial 0 is better than trial 1, beyond noise." in found.description


def test_registering_again_changes_nothing(store):
    result = confirmed(store, GOOD)
    assert register_winner(store, result) == register_winner(store, result)
    assert len(store.client.search_model_versions("name = 'runback-s'")) == 1


def test_the_champion_changes_where_the_new_one_is_better_beyond_noise(store):
    register_winner(store, confirmed(store, GOOD))
    told = register_winner(store, confirmed(store, BETTER))
    assert told.endswith("the champion now: better than version 1 beyond noise.")
    assert champion(store, "runback-s").number == "2"


@pytest.mark.parametrize("values", [POOR, [one + 0.01 for one in GOOD]], ids=["worse", "within noise"])
def test_the_champion_stays_where_it_is_not(store, values):
    register_winner(store, confirmed(store, GOOD))
    told = register_winner(store, confirmed(store, values))
    assert "version 1 stays the champion: the new one is not better beyond noise" in told
    assert "By hand: runback promote " in told
    assert champion(store, "runback-s").number == "1"
    assert len(store.client.search_model_versions("name = 'runback-s'")) == 2


def test_less_is_better_where_it_is_minimized(store):
    register_winner(store, confirmed(store, GOOD, maximize=False))
    register_winner(store, confirmed(store, BETTER, maximize=False))
    assert champion(store, "runback-s").number == "1"
    register_winner(store, confirmed(store, POOR, maximize=False))
    assert champion(store, "runback-s").number == "3"


def test_values_on_other_validation_images_do_not_compare(store):
    register_winner(store, confirmed(store, GOOD))
    told = register_winner(store, confirmed(store, BETTER, data="other"))
    assert "version 1 stays the champion: it had another set of validation images" in told


def test_a_champion_by_hand_is_left_to_the_hand(store):
    crown(store, register(store, trained(store), description="by hand", tags={}))
    told = register_winner(store, confirmed(store, BETTER))
    assert "version 1 stays the champion: it was not confirmed, but promoted by hand" in told


@pytest.mark.parametrize("tag", ["[0.9", "0.9", "[0.9]", '{"a": 1}'])
def test_a_champion_whose_values_cannot_be_read_is_left_to_the_hand(store, tag):
    run_id = trained(store)
    crown(store, register(store, run_id, description="", tags={"runback.confirmed_values": tag}))
    assert "version 1 stays the champion: it was not" in register_winner(store, confirmed(store, BETTER))


def test_the_median_run_is_registered_and_of_an_even_number_the_worse_middle_one(store):
    assert median_run(confirmed(store, [0.9, 0.7, 0.8])).value == 0.8
    assert median_run(confirmed(store, [0.9, 0.7, 0.8, 0.6])).value == 0.7
    assert median_run(confirmed(store, [0.9, 0.7, 0.8, 0.6], maximize=False)).value == 0.8


def test_a_winner_without_a_model_is_refused(store):
    with pytest.raises(InputError, match="which is FINISHED, has no model to register"):
        register_winner(store, confirmed(store, GOOD, has_model=False))


def test_a_sweep_whose_name_mlflow_cannot_take_is_registered_under_one_like_it(store):
    register_winner(store, confirmed(store, GOOD, sweep="a:b"))
    assert champion(store, "runback-a_b").number == "1"


def test_the_interface_shows_the_version_beside_the_model(store):
    register_winner(store, confirmed(store, GOOD))
    run = store.client.get_run(champion(store, "runback-s").run_id)
    model = store.client.get_logged_model(run.outputs.model_outputs[0].model_id)
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": "runback-s", "version": 1}]


@pytest.mark.slow
def test_a_server_keeps_the_registry_too(tmp_path, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    store = open_store(Layout(tmp_path))
    assert champion(store, "runback-s") is None
    register_winner(store, confirmed(store, GOOD))
    assert champion(store, "runback-s").number == "1"
    assert register_winner(store, confirmed(store, BETTER)).endswith("better than version 1 beyond noise.")
    assert champion(store, "runback-s").number == "2"
