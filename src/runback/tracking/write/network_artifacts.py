"""Stores a trained network in its run: as files, and as an MLflow model that can be served."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import mlflow.keras
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec

with warnings.catch_warnings():
    # It warns its importer of a type hint of its own.
    warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
    import mlflow.pyfunc  # mlflow.keras would import it anyway, while the network is saved

from runback.errors import InputError
from runback.tracking.artifact_names import ARCHITECTURE, NETWORK, SUMMARY, WEIGHTS
from runback.tracking.mlflow_limits import first_line
from runback.tracking.write.logged_model import MODEL_NAME
from runback.tracking.write.run_writer import RunWriter

# It warns where no pip is installed, as in environments that uv makes; the requirements are given anyway.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)


def log_network(
    run: RunWriter,
    network: keras.Model,
    class_names: Sequence[str] | None = None,
    *,
    name: str = MODEL_NAME,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Store `network` in `run`, which stays RUNNING.

    Artifacts: model.keras, architecture.json, model.weights.h5, model_summary.txt; of another name than
    `model` none. Logged model: with `class_names` it takes raw uint8 images (-1, height, width, channels)
    and returns float32 probabilities (-1, classes), through `mlflow.pyfunc.load_model` and `mlflow models
    serve`; else it takes and returns what the network does. `options` are those of mlflow.keras.save_model.
    Errors: InputError for a network that Keras cannot store; those of `RunWriter`.
    """
    metadata = None if class_names is None else {"class_names": list(class_names)}
    description = Model(artifact_path=MODEL_NAME, run_id=run.id, metadata=metadata)
    given = {
        "signature": own_signature(network) if class_names is None else signature(network),
        "pip_requirements": [f"{package}=={version(package)}" for package in requirements()],
        **(options or {}),
    }
    with run.logging_model(name) as folder:
        # What mlflow.keras.log_model does, by explicit IDs: it would need an active run and a global store.
        try:
            mlflow.keras.save_model(network, str(folder), mlflow_model=description, **given)
        except (MlflowException, TypeError, ValueError, NotImplementedError) as error:
            raise InputError(f"Keras cannot store this model: {first_line(str(error))}") from error
        if name == MODEL_NAME:
            run.log_file(folder / "data" / NETWORK)  # written by save_model, the same file
    if name == MODEL_NAME:
        _log_parts(run, network)


def _log_parts(run: RunWriter, network: keras.Model) -> None:
    """Store a network's weights, architecture and summary, each for those who want no more."""
    with tempfile.TemporaryDirectory(prefix="runback-") as temporary:
        weights = Path(temporary) / WEIGHTS
        network.save_weights(weights)
        run.log_file(weights)
    run.log_text(network.to_json(indent=2), ARCHITECTURE)
    lines: list[str] = []
    network.summary(line_length=100, print_fn=lines.append)
    run.log_text("\n".join(lines) + "\n", SUMMARY)


def requirements() -> list[str]:
    """Return the packages that a server of a network needs: Keras, and the backend that is in use."""
    backend = keras.backend.backend()
    return ["mlflow", "keras", "torch" if backend == "torch" else backend, "numpy"]


def signature(network: keras.Model) -> ModelSignature:
    """Return what a classifier's network takes and returns, as MLflow checks it."""
    image = TensorSpec(np.dtype(np.uint8), (-1, *network.input_shape[1:]))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, *network.output_shape[1:]))
    return ModelSignature(inputs=Schema([image]), outputs=Schema([probabilities]))


def own_signature(network: keras.Model) -> ModelSignature | None:
    """Return what any network takes and returns; None where it does not say, as a subclass of Model may."""
    inputs, outputs = getattr(network, "inputs", None), getattr(network, "outputs", None)
    if not inputs or not outputs:
        return None
    return ModelSignature(inputs=Schema(_specs(inputs)), outputs=Schema(_specs(outputs)))


def _specs(tensors: Sequence[Any]) -> list[ColSpec | TensorSpec]:
    names = [None] if len(tensors) == 1 else [str(one.name) for one in tensors]
    return [
        TensorSpec(np.dtype(one.dtype), (-1, *(-1 if side is None else side for side in one.shape[1:])), name)
        for one, name in zip(tensors, names, strict=True)
    ]
