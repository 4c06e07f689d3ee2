"""Brings what waits in a run's folder to its store. Doing so twice, or half of it, changes nothing."""

import runback.tracking.mlflow_settings  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from runback.errors import DiskFull, InputError, RunbackError, StoreAway, StoreError
from runback.tracking.write import logged_model
from runback.tracking.artifact_place import of_run
from runback.tracking.write.dataset_inputs import send_inputs
from runback.tracking.write.pending_metrics import PendingMetrics
from runback.system.files.contained_path import refuse_links_out
from runback.tracking.layout import MIRROR
from runback.tracking.write.outbox import RESERVE, OutboxEntry, Outbox, legible
from runback.tracking.store import Store, store_errors
from runback.tracking.tags import FOLDER_TAG, REASON_TAG
from runback.tracking.mlflow_limits import first_line

BATCH_LIMIT = 100
"""Params or tags that MLflow takes in one call (mlflow.utils.validation.MAX_PARAMS_TAGS_PER_BATCH)."""

INPUT_FACTS = ("name", "digest", "source", "profile", "context")
"""The facts of a dataset that waits, see `dataset_facts`."""

END = "end"
"""The kind of entry with a run's status: the last to be delivered."""


def deliver(
    store: Store,
    run_id: str,
    outbox: Outbox,
    send_metrics: Callable[[], None],
    on_sent: Callable[[], None] = lambda: None,
    refused: set[Path] | None = None,
) -> list[RunbackError]:
    """Deliver what waits in `outbox`, then the metrics, then the run's end; remove what is delivered.

    Returns why something still waits that the store refused, or for which there is no room on the disk: the
    rest is delivered. `on_sent` is called after each thing; entries in `refused` are passed over, and those
    that the store refuses are added. Raises StoreAway where the store is away.
    """
    refused = set() if refused is None else refused
    troubles: list[RunbackError] = []
    waiting = [entry for entry in outbox.entries() if entry.path not in refused]
    waiting.sort(key=lambda entry: entry.kind == END)
    steps: list[tuple[Path, str, Callable[[], None]]] = [
        (entry.path, _what(entry), partial(_send, store, run_id, entry)) for entry in waiting
    ]
    others = sum(entry.kind != END for entry in waiting)
    metrics = (outbox.folder / MIRROR, "metrics", send_metrics)
    for path, what, send in [*steps[:others], metrics, *steps[others:]]:
        try:
            with store_errors(store, what):
                send()
        except StoreAway:
            raise
        except StoreError as trouble:
            refused.add(path)
            troubles.append(trouble)
        except DiskFull as trouble:
            troubles.append(trouble)
        else:
            on_sent()
    return troubles


def deliver_folder(store: Store, folder: Path) -> list[RunbackError]:
    """Deliver what waits in the folder of a run whose process has ended; its outbox is gone when all is.

    Returns what `deliver` does. Whoever calls this holds the folder. Raises StoreAway, and StoreError for a
    folder that does not say whose it is.
    """
    outbox = Outbox(folder)
    run_id = outbox.run_id
    if run_id is None:
        raise StoreError(f"{folder} does not say which run it belongs to")
    _refuse_strange(store, run_id, folder)
    outbox.make_room()
    troubles = deliver(store, run_id, outbox, PendingMetrics(store.client, run_id, folder).recover)
    if not troubles:
        outbox.close()
    return troubles


def _refuse_strange(store: Store, run_id: str, folder: Path) -> None:
    """Raise InputError for a folder that says it is of a run with another one, or has links that lead out."""
    what = f"the folder of run {run_id}"
    if folder.is_relative_to(store.layout.mlruns):
        store.layout.inside(folder, what)
        refuse_links_out(folder, store.layout.mlruns, what)
    named = _folder_tag(store, run_id)
    if named is not None and named != store.layout.folder_tags(folder).get(FOLDER_TAG):
        raise InputError(f"{folder} says that it is of run {run_id}, whose folder is {named} in mlruns/")


def _folder_tag(store: Store, run_id: str) -> str | None:
    """Return which folder a run's process held; None where that, or the run, is not known. StoreAway."""
    try:
        with store_errors(store, f"anything of run {run_id}"):
            folder: str | None = store.client.get_run(run_id).data.tags.get(FOLDER_TAG)
    except StoreAway:
        raise
    except StoreError:  # what is delivered will say so
        return None
    return folder


def send_params(client: MlflowClient, run_id: str, params: Mapping[str, str]) -> None:
    """Send params; sending them again changes nothing. Errors: MLflow's."""
    entities = [Param(name, value) for name, value in params.items()]
    for start in range(0, len(entities), BATCH_LIMIT):
        client.log_batch(run_id, params=entities[start : start + BATCH_LIMIT], synchronous=True)


def send_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags. Errors: MLflow's."""
    entities = [RunTag(name, value) for name, value in tags.items()]
    for start in range(0, len(entities), BATCH_LIMIT):
        client.log_batch(run_id, tags=entities[start : start + BATCH_LIMIT], synchronous=True)


def send_end(client: MlflowClient, run_id: str, end: Mapping[str, Any]) -> None:
    """Set a run's `status`, the time `ended_at` in ms, and its `reason` if it has one. Errors: MLflow's."""
    if end["reason"]:
        client.set_tag(run_id, REASON_TAG, first_line(end["reason"]))
    client.set_terminated(run_id, end["status"], end["ended_at"])


def _what(entry: OutboxEntry) -> str:
    if entry.kind == "artifact":
        return ", ".join(file.relative_to(entry.path).as_posix() for file in entry.files)
    return "the network" if entry.kind == "model" else entry.kind


def _send(store: Store, run_id: str, entry: OutboxEntry) -> None:
    client = store.client
    match entry.kind:
        case "params":
            send_params(client, run_id, _texts(entry))
        case "tags":
            send_tags(client, run_id, _texts(entry))
        case "artifact":
            of_run(store, run_id)  # or it refuses to write there
            _refuse_full(store, entry)
            for file in entry.files:
                parent = file.parent.relative_to(entry.path).as_posix()
                client.log_artifact(run_id, str(file), None if parent == "." else parent)
        case "inputs":
            send_inputs(client, run_id, _inputs(entry))
        case "model":
            _refuse_full(store, entry)
            logged_model.send(store, run_id, entry.path)
        case "end":
            send_end(client, run_id, _end(entry))
        case _:
            raise StoreError(f"{entry.path} is nothing that this version of runback has put there")
    entry.remove()


def _texts(entry: OutboxEntry) -> dict[str, str]:
    """Return the params or tags that wait. Raises StoreError where they are damaged."""
    with legible(entry.path):
        return {name: _text(value) for name, value in entry.content.items()}


def _inputs(entry: OutboxEntry) -> list[dict[str, str]]:
    """Return the datasets that wait. Raises StoreError where they are damaged."""
    with legible(entry.path):
        return [{name: _text(one[name]) for name in INPUT_FACTS} for one in entry.content["datasets"]]


def _end(entry: OutboxEntry) -> dict[str, Any]:
    """Return the end that waits. Raises StoreError where it is damaged."""
    with legible(entry.path):
        content = entry.content
        reason = content["reason"] and _text(content["reason"])
        return {"status": _text(content["status"]), "ended_at": int(content["ended_at"]), "reason": reason}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _refuse_full(store: Store, entry: OutboxEntry) -> None:
    """Raise DiskFull rather than leave half a file where artifacts lie on a disk of this machine."""
    if store.is_server or not store.layout.mlruns.exists():
        return
    needed = sum(file.stat().st_size for file in entry.files)
    free = shutil.disk_usage(store.layout.mlruns).free
    if free < needed + RESERVE:
        raise DiskFull(f"the disk is full: {_what(entry)} needs {needed:,} bytes, {free:,} are free")
