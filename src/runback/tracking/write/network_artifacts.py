"""Stores a trained network in its run: as files, and as an MLflow model that can be served."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import logging
import tempfile
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import keras
import mlflow.keras
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

with warnings.catch_warnings():
    # It warns its importer of a type hint of its own.
    warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
    import mlflow.pyfunc  # mlflow.keras would import it anyway, while the network is saved

from runback.tracking.artifact_names import ARCHITECTURE, NETWORK, SUMMARY, WEIGHTS
from runback.tracking.write.logged_model import MODEL_NAME
from runback.tracking.write.run_writer import RunWriter

# It warns where no pip is installed, as in environments that uv makes; the requirements are given anyway.
logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)

REQUIREMENTS = ("mlflow", "keras", "tensorflow", "numpy")
"""The packages that a server of the model needs, each pinned to the version installed here."""


def log_network(run: RunWriter, network: keras.Model, class_names: Sequence[str]) -> None:
    """Store `network` in `run`, which stays RUNNING.

    Artifacts: model.keras, architecture.json, model.weights.h5, model_summary.txt. Logged model: takes raw
    uint8 images (-1, height, width, channels) and returns float32 probabilities (-1, classes), through
    `mlflow.pyfunc.load_model` and `mlflow models serve`. Errors: those of `RunWriter`.
    """
    description = Model(artifact_path=MODEL_NAME, run_id=run.id, metadata={"class_names": list(class_names)})
    with run.logging_model() as folder:
        # What mlflow.keras.log_model does, by explicit IDs: it would need an active run and a global store.
        mlflow.keras.save_model(
            network,
            str(folder),
            mlflow_model=description,
            signature=signature(network),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
        run.log_file(folder / "data" / NETWORK)  # written by save_model, the same file
    with tempfile.TemporaryDirectory(prefix="runback-") as temporary:
        weights = Path(temporary) / WEIGHTS
        network.save_weights(weights)
        run.log_file(weights)
    run.log_text(network.to_json(indent=2), ARCHITECTURE)
    lines: list[str] = []
    network.summary(line_length=100, print_fn=lines.append)
    run.log_text("\n".join(lines) + "\n", SUMMARY)


def signature(network: keras.Model) -> ModelSignature:
    """Return what the network takes and returns, as MLflow checks it."""
    image = TensorSpec(np.dtype(np.uint8), (-1, *network.input_shape[1:]))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, *network.output_shape[1:]))
    return ModelSignature(inputs=Schema([image]), outputs=Schema([probabilities]))
