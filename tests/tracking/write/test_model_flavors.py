import sys
import types
from pathlib import Path

import keras
import mlflow
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from runback.errors import InputError
from runback.tracking.read.find_runs import artifacts
from runback.tracking.upkeep.moved_artifacts import local_path
from runback.tracking.write.model_flavors import flavor_of, log_model


@pytest.fixture(autouse=True)
def _loading(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")  # of what the test has stored itself


def models(run):
    """Return the logged models of a run, which ends with this: by then they are in the store."""
    run.finish("FINISHED")
    outputs = run.store.client.get_run(run.id).outputs.model_outputs
    return [run.store.client.get_logged_model(one.model_id) for one in outputs]


def test_a_scikit_learn_model_is_stored_without_a_pickle_and_predicts_the_same(run):
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    model = LogisticRegression().fit(x, y)
    log_model(run, model, "model", None, {})
    [logged] = models(run)
    assert (logged.name, logged.status) == ("model", "READY")
    loaded = mlflow.sklearn.load_model(logged.artifact_location)
    assert (loaded.predict(x) == model.predict(x)).all()


def test_a_keras_model_of_two_inputs_is_stored_with_its_signature(run):
    one, two = keras.Input((3,), name="one"), keras.Input((5,), name="two")
    output = keras.layers.Dense(1)(keras.layers.Concatenate()([one, two]))
    model = keras.Model([one, two], output)
    log_model(run, model, "model", None, {})
    [logged] = models(run)
    assert "model.keras" in artifacts(run.store, run.id)
    signature = mlflow.models.Model.load(str(local_path(logged.artifact_location))).signature
    assert [len(signature.inputs.inputs), len(signature.outputs.inputs)] == [2, 1]
    loaded = mlflow.keras.load_model(logged.artifact_location)
    inputs = [np.ones((2, 3), "float32"), np.ones((2, 5), "float32")]
    np.testing.assert_array_equal(loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0))


def test_models_of_two_names_are_two_and_one_of_the_same_name_is_replaced(run):
    x, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    for name, strength in (("small", 0.1), ("large", 10.0), ("small", 1.0)):
        log_model(run, LogisticRegression(C=strength).fit(x, y), name, None, {})
    found = {one.name: mlflow.sklearn.load_model(one.artifact_location).C for one in models(run)}
    assert found == {"small": 1.0, "large": 10.0}


def test_any_module_of_mlflow_that_saves_models_is_a_flavor(run, monkeypatch):
    def save_model(model, path, mlflow_model, pip_requirements, extra):
        assert pip_requirements[0].startswith("mlflow==")
        mlflow_model.add_flavor("mine", extra=extra)
        Path(path).mkdir()
        mlflow_model.save(f"{path}/MLmodel")

    module = types.ModuleType("mlflow.mine")
    module.save_model = save_model
    monkeypatch.setitem(sys.modules, "mlflow.mine", module)
    log_model(run, object(), "model", "mine", {"extra": "numpy"})
    assert [one.status for one in models(run)] == ["READY"]


@pytest.mark.parametrize(
    ("name", "flavor", "message"),
    [
        ("model", None, "run.log_model does not know a builtins.object"),
        ("model", "nothing", "mlflow.nothing cannot be used"),
        ("model", "../x", "MLflow has no flavor"),
        ("model", "entities", "MLflow has no flavor 'entities'"),
        ("model", "sklearn", "mlflow.sklearn cannot store a object"),
        ("a/b", "sklearn", "a model's name is of letters"),
    ],
)
def test_what_cannot_be_stored_is_refused_in_one_line(run, name, flavor, message):
    with pytest.raises(InputError) as refused:
        log_model(run, object(), name, flavor, {})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert run.store.client.get_run(run.id).outputs.model_outputs == []


def test_a_subclass_is_of_its_librarys_flavor():
    class Mine(keras.Model):
        pass

    assert flavor_of(Mine()) == "keras"
    assert flavor_of(LogisticRegression()) == "sklearn"
