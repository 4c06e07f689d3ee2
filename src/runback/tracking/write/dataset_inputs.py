"""A run's inputs as MLflow's datasets: their names, fingerprints and shapes, never their content."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

DIGEST_LIMIT = 36
"""Characters of a dataset's digest (mlflow.utils.validation.MAX_DATASET_DIGEST_SIZE): a SHA-256 has 64."""

NAME_LIMIT = 500
"""Characters of a dataset's name (MAX_DATASET_NAME_SIZE), and of a tag's value."""

BATCH_LIMIT = 1000
"""Datasets that MLflow takes in one call (MAX_DATASETS_PER_BATCH)."""

SOURCE_TYPE = "runback"

CONTEXTS = {"train": "training"}
"""MLflow's words for what a split is for, where they are others."""


def dataset_facts(data: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the datasets of a record's `data`, as they wait for the store.

    A digest is the first 36 characters of the SHA-256 of the content: MLflow takes no more. The whole of it
    stands in the dataset's source and profile, as `sha256`.
    """
    return [_facts(name, dict(part)) for name, part in data.items()]


def send_inputs(client: MlflowClient, run_id: str, facts: Sequence[Mapping[str, str]]) -> None:
    """Send datasets; sending them again changes nothing. Errors: MLflow's."""
    inputs = [_input(one) for one in facts]
    for start in range(0, len(inputs), BATCH_LIMIT):
        client.log_inputs(run_id, inputs[start : start + BATCH_LIMIT])


def _facts(name: str, part: Mapping[str, Any]) -> dict[str, str]:
    sha256, shape = str(part["sha256"]), list(part["shape"])
    kind = part.get("kind", "images with labels")
    profile = {"sha256": sha256, "kind": kind, "shape": shape, "dtype": part.get("dtype")}
    rows = {"num_rows": shape[0]} if shape and kind not in ("file", "folder") else {}
    return {
        "name": name[:NAME_LIMIT],
        "digest": sha256[:DIGEST_LIMIT],
        "source": json.dumps({"sha256": sha256, "kind": kind}),
        "profile": json.dumps({**profile, **rows}),
        "context": CONTEXTS.get(name, name)[:NAME_LIMIT],
    }


def _input(facts: Mapping[str, str]) -> DatasetInput:
    dataset = Dataset(facts["name"], facts["digest"], SOURCE_TYPE, facts["source"], profile=facts["profile"])
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, facts["context"])])
