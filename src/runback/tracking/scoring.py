"""MLflow's scoring server, as `mlflow models serve` runs it, for a network that is loaded already."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

from collections.abc import Sequence

import keras
from fastapi import FastAPI
from mlflow.keras.load import KerasModelWrapper
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, scoring_server

from runback.tracking.model import signature


def scoring_app(network: keras.Model, class_names: Sequence[str]) -> FastAPI:
    """Return the server's application. `mlflow.pyfunc.load_model` would import what a model's file names."""
    described = Model(signature=signature(network), metadata={"class_names": list(class_names)})
    described.add_flavor("python_function", loader_module="mlflow.keras")
    answers = KerasModelWrapper(network, described.signature)  # type: ignore[no-untyped-call]
    return scoring_server.init(PyFuncModel(described, answers))
