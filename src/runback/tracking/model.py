"""Stores a trained network in its run: as files, and as an MLflow model that can be served."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import logging
import tempfile
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import keras
import mlflow.keras
import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

with warnings.catch_warnings():
    # It warns its importer of a type hint of its own.
    warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
    import mlflow.pyfunc  # mlflow.keras would import it anyway, while the network is saved

from runback.errors import StoreError
from runback.tracking.run import Run
from runback.tracking.text import first_line

# It warns where no pip is installed, as in environments that uv makes; the requirements are given anyway.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)

MODEL_NAME = "model"
"""The logged model's name in MLflow."""

REQUIREMENTS = ("mlflow", "keras", "tensorflow", "numpy")
"""What a server of the model needs; each is pinned to the version installed here."""


def log_network(run: Run, network: keras.Model, class_names: Sequence[str]) -> None:
    """Store `network` in `run`, which stays RUNNING.

    Artifacts: model.keras, architecture.json, model.weights.h5, model_summary.txt. Logged model: takes raw
    uint8 images (-1, height, width, channels) and returns float32 probabilities (-1, classes), through
    `mlflow.pyfunc.load_model` and `mlflow models serve`. Raises StoreError when something cannot be stored.
    """
    with tempfile.TemporaryDirectory(prefix="runback-") as temporary:
        folder = Path(temporary)
        try:
            logged = _create(run)
            _log_model(run, network, class_names, logged, folder / MODEL_NAME)
            _log_files(run, network, folder)
        except (MlflowException, OSError) as error:
            raise StoreError(f"cannot store the network: {first_line(str(error))}") from error


def signature(network: keras.Model) -> ModelSignature:
    """Return what the network takes and returns, as MLflow checks it."""
    image = TensorSpec(np.dtype(np.uint8), (-1, *network.input_shape[1:]))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, *network.output_shape[1:]))
    return ModelSignature(inputs=Schema([image]), outputs=Schema([probabilities]))


def _create(run: Run) -> LoggedModel:
    """Create the logged model, still empty, and link it with the run, in both directions.

    A run that was killed in the middle of this has one already, perhaps half of it: it is written again.
    """
    client = run.store.client
    found = client.get_run(run.id)
    if found.outputs and found.outputs.model_outputs:
        return client.get_logged_model(found.outputs.model_outputs[-1].model_id)
    logged = client.create_logged_model(
        found.info.experiment_id, MODEL_NAME, source_run_id=run.id, params=dict(found.data.params)
    )
    client.log_outputs(run.id, [LoggedModelOutput(logged.model_id, step=run.last_step or 0)])
    return logged


def _log_model(
    run: Run, network: keras.Model, class_names: Sequence[str], logged: LoggedModel, folder: Path
) -> None:
    # What mlflow.keras.log_model does, by explicit IDs: it would need an active run and a global store.
    client = run.store.client
    description = Model(
        artifact_path=logged.artifact_location,
        run_id=run.id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
        metadata={"class_names": list(class_names)},
    )
    try:
        mlflow.keras.save_model(
            network,
            str(folder),
            mlflow_model=description,
            signature=signature(network),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
        client.log_model_artifacts(logged.model_id, str(folder))
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")


def _log_files(run: Run, network: keras.Model, folder: Path) -> None:
    saved = folder / MODEL_NAME / "data" / "model.keras"  # written by save_model, the same file
    run.log_file(saved)
    weights = folder / "model.weights.h5"
    network.save_weights(weights)
    run.log_file(weights)
    run.log_text(network.to_json(indent=2), "architecture.json")
    lines: list[str] = []
    network.summary(line_length=100, print_fn=lines.append)
    run.log_text("\n".join(lines) + "\n", "model_summary.txt")
