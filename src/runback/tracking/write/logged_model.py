"""Brings a model's folder to the store, as the logged model of its run by that name."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import json
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.entities import Run as MlflowRun
from mlflow.models import Model

from runback.errors import StoreError
from runback.system.files.regular_file import read_regular
from runback.system.files.whole_file import publish
from runback.tracking.mlflow_settings import one_try
from runback.tracking.write.outbox import legible
from runback.tracking.store import Store

MODEL_NAME = "model"
"""The logged model's name in MLflow, and its folder within what waits."""

ABOUT = "about.json"
"""Beside the model's folder: the step of its weights, and its name."""


def send(store: Store, run_id: str, folder: Path) -> None:
    """Log the model in `folder`, and link it with its run, in both directions.

    Errors: InputError for a place outside mlruns/, MLflow's, OSError.

    A run that has one of its name already, perhaps half of it, gets no second one: it is written again.
    """
    client = store.client
    with legible(folder):
        about = json.loads(read_regular(folder / ABOUT))
        step, name = int(about["step"]), str(about.get("name", MODEL_NAME))
        read_regular(folder / MODEL_NAME / "MLmodel")  # or it is refused
        described = Model.load(str(folder / MODEL_NAME))
        if not all(path.is_file() or path.is_dir() for path in folder.rglob("*")):
            raise StoreError(f"{folder} holds what is no ordinary file: remove it to give it up")
    logged = _logged(client, client.get_run(run_id), step, name)
    store.place(logged.artifact_location, f"the folder of model {logged.model_id} of run {run_id}")
    described.artifact_path = logged.artifact_location
    described.run_id = run_id
    described.model_uuid = described.model_id = logged.model_id
    whole = folder / "MLmodel.whole"  # a kill while it is written would cost the model
    described.save(str(whole))
    publish(whole, folder / MODEL_NAME / "MLmodel")
    client.log_model_artifacts(logged.model_id, str(folder / MODEL_NAME))
    client.finalize_logged_model(logged.model_id, "READY")


def _logged(client: MlflowClient, run: MlflowRun, step: int, name: str) -> LoggedModel:
    """Return the run's logged model of this name, empty where it had none."""
    run_id = run.info.run_id
    for output in run.outputs.model_outputs if run.outputs else []:
        linked = client.get_logged_model(output.model_id)
        if linked.name == name:
            return linked
    unlinked = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    same = [one for one in unlinked if one.name == name]
    if same:
        logged = same[0]
    else:
        with one_try():
            logged = client.create_logged_model(
                run.info.experiment_id, name, source_run_id=run_id, params=dict(run.data.params)
            )
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=step)])
    return logged
