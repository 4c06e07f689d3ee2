"""MLflow's model registry: a model for each sweep, a version for each winner, one of them the champion."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlflow.entities import LoggedModel
from mlflow.entities import Run as MlflowRun
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from runback.errors import InputError
from runback.system.secrecy import redacted
from runback.tracking.store import Store, store_errors
from runback.tracking.tags import KIND_TAG, SWEEP_TAG

ALIAS = "champion"
"""The alias of the version to use: `models:/NAME@champion`."""

MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's codes for a model, and for an alias, that is not there."""


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    name: str
    number: str
    run_id: str
    """The run that its model is of; empty where it does not say."""
    tags: Mapping[str, str]


def model_name(sweep: str) -> str:
    """Return the name that a sweep's models are registered under; MLflow's may not hold a colon."""
    return f"runback-{sweep.replace(':', '_')}"


def sweep_of(run: MlflowRun) -> str:
    """Return the sweep that a training belongs to. Errors: InputError where it does not belong to any."""
    tags = run.data.tags
    if tags.get(KIND_TAG) == "sweep":
        raise InputError(f"run {run.info.run_id} is a whole sweep: name one of its runs, or best:SWEEP")
    if SWEEP_TAG not in tags:
        raise InputError(
            f"run {run.info.run_id} belongs to no sweep, whose name its model would be registered under"
        )
    return str(tags[SWEEP_TAG])


def champion(store: Store, name: str) -> Version | None:
    """Return the version that is the champion, None where there is none. Raises StoreError."""
    with store_errors(store, f"the alias {ALIAS}"):
        try:
            return _version(store.client.get_model_version_by_alias(name, ALIAS))
        except MlflowException as error:
            if error.error_code not in MISSING:
                raise
            return None


def register(store: Store, run_id: str, *, description: str, tags: Mapping[str, str]) -> Version:
    """Return the version with a run's model, which is made unless there is one already.

    Its sweep's registered model is created with the first one. Errors: InputError for a run without a sweep
    or a model, StoreError.
    """
    with store_errors(store, f"the model of run {run_id}"):
        run = store.client.get_run(run_id)  # a search leaves its models out
    name = model_name(sweep_of(run))
    outputs = run.outputs.model_outputs if run.outputs else []
    if not outputs:
        raise InputError(
            f"run {run_id}, which is {run.info.status}, has no model to register; run.log_model logs one"
        )
    client = store.client
    with store_errors(store, f"version of model {name}"):
        _ensure_model(store, name)
        for version in client.search_model_versions(f"run_id = '{run_id}'"):
            if version.name == name:
                return _version(version)
        model = client.get_logged_model(outputs[-1].model_id)
        store.place(model.artifact_location, f"the folder of model {model.model_id} of run {run_id}")
        made = client.create_model_version(
            name,
            source=model.artifact_location,  # of `models:/ID` MLflow would ask the environment's store
            run_id=run_id,
            model_id=model.model_id,
            description=description,
            tags=dict(tags),
            await_creation_for=0,  # it is ready: only Databricks copies models
        )
        _link(store, model, made)
    return _version(made)


def describe_versions(store: Store, run_id: str, change: Callable[[str], str]) -> None:
    """Change the descriptions, in Markdown, of all versions with a run's model. Raises StoreError."""
    client = store.client
    with store_errors(store, f"the versions of run {run_id}"):
        for version in client.search_model_versions(f"run_id = '{run_id}'"):
            before = version.description or ""
            if (after := change(before)) != before:
                client.update_model_version(version.name, version.version, description=after)


def tag_version(store: Store, version: Version, tags: Mapping[str, str]) -> None:
    """Give tags to a version, without what is secret in them. Raises StoreError."""
    with store_errors(store, f"version {version.number} of model {version.name}"):
        for name, value in tags.items():
            store.client.set_model_version_tag(version.name, version.number, name, redacted(value))


def crown(store: Store, version: Version) -> None:
    """Make a version the champion, and no other one. Raises StoreError."""
    with store_errors(store, f"the alias {ALIAS}"):
        store.client.set_registered_model_alias(version.name, ALIAS, version.number)


def _ensure_model(store: Store, name: str) -> None:
    try:
        store.client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _link(store: Store, model: LoggedModel, version: ModelVersion) -> None:
    """Let MLflow's interface show the version beside the model's run; a server has done so by itself."""
    links = json.loads(store.client.get_logged_model(model.model_id).tags.get(MLFLOW_MODEL_VERSIONS, "[]"))
    link = {"name": version.name, "version": version.version}
    if link["name"] not in [one["name"] for one in links]:
        store.client.set_logged_model_tags(
            model.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps([*links, link])}
        )


def _version(version: ModelVersion) -> Version:
    return Version(version.name, str(version.version), version.run_id or "", dict(version.tags))
