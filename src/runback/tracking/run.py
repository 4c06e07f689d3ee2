"""One run in MLflow, written through an explicit run ID: nothing here depends on an active run."""

import runback.tracking.flags  # noqa: F401, I001 - before MLflow, which reads its flags when it is imported

import contextlib
import getpass
import logging
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils import mlflow_tags

from runback.errors import Stopped, StoreError, TrialPruned
from runback.tracking.curves import Curves
from runback.tracking.moved import refuse_moved
from runback.tracking.store import Store, experiment_id
from runback.tracking.text import PARAM_LIMIT, TAG_LIMIT, cut, first_line, redacted

Status = Literal["FINISHED", "FAILED", "KILLED"]

REASON_TAG = "runback.reason"
"""Why a run is not FINISHED, in one line."""

FAILURE_TAG = "runback.failure"
"""The kind of a trial's failure."""

BATCH_LIMIT = 100
"""Params or tags that MLflow takes in one call (mlflow.utils.validation.MAX_PARAMS_TAGS_PER_BATCH)."""

FINISH_ATTEMPTS = 3
"""Tries to end a run. On a locked database MLflow waits 20 s in each, so it may be locked for a minute."""

_logger = logging.getLogger(__name__)


class Run:
    """A run that exists in the store. `folder` is where its metrics are mirrored; None: nowhere.

    Params, tags and artifacts raise StoreError when the store fails; metrics wait until it works again.
    """

    def __init__(self, store: Store, run_id: str, folder: Path | None = None) -> None:
        self.id = run_id
        self.store = store
        self._curves = Curves(store.client, run_id, folder)
        self._ended = False

    @property
    def last_step(self) -> int | None:
        """The highest step of the metrics logged so far; those of other processes count after a recovery."""
        return self._curves.last_step

    def log_params(self, params: Mapping[str, object]) -> None:
        """Log flat params by their dotted names; a value longer than 6,000 characters is cut, visibly."""
        entities = [Param(name, cut(str(value), PARAM_LIMIT)) for name, value in params.items()]
        for start in range(0, len(entities), BATCH_LIMIT):
            with _told("params"):
                batch = entities[start : start + BATCH_LIMIT]
                self.store.client.log_batch(self.id, params=batch, synchronous=True)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, replacing those that exist; a value longer than 8,000 characters is cut, visibly."""
        entities = [RunTag(name, cut(str(value), TAG_LIMIT)) for name, value in tags.items()]
        for start in range(0, len(entities), BATCH_LIMIT):
            with _told("tags"):
                batch = entities[start : start + BATCH_LIMIT]
                self.store.client.log_batch(self.id, tags=batch, synchronous=True)

    def log_epoch(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch; `step` counts completed epochs.

        They are in the folder's metrics.jsonl when this returns. When the store fails, training goes on:
        one warning, and the points go out with a later epoch's or at the end.
        """
        self._curves.add(step, metrics)

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Log metrics that belong to no epoch; like `log_epoch` this waits for a store that is away."""
        self._curves.add(step, metrics)

    def recover_metrics(self) -> None:
        """Store the metrics that only the folder's metrics.jsonl has.

        From then on logging a step again that either has changes nothing.
        """
        with _told("metrics"):
            self._curves.recover()

    def deliver(self) -> None:
        """Send the metrics that still wait. Raises StoreError when the store is away."""
        with _told("metrics"):
            self._curves.send()

    def log_text(self, text: str, artifact_file: str) -> None:
        """Store `text` as the artifact `artifact_file`."""
        with _told(artifact_file):
            self.store.client.log_text(self.id, text, artifact_file)

    def log_bytes(self, content: bytes, artifact_file: str) -> None:
        """Store `content` as the artifact `artifact_file`."""
        path = PurePosixPath(artifact_file)
        with _told(artifact_file), tempfile.TemporaryDirectory(prefix="runback-") as folder:
            file = Path(folder) / path.name
            file.write_bytes(content)
            self.store.client.log_artifact(
                self.id, str(file), None if path.parent.name == "" else str(path.parent)
            )

    def log_figure(self, figure: Any, artifact_file: str) -> None:
        """Store a matplotlib Figure as an artifact; the ending (.png, .svg) decides on the format."""
        with _told(artifact_file):
            self.store.client.log_figure(self.id, figure, artifact_file)

    def log_image(self, image: Any, artifact_file: str) -> None:
        """Store a PIL image as an artifact."""
        with _told(artifact_file):
            self.store.client.log_image(self.id, image, artifact_file)

    def log_file(self, path: Path, artifact_path: str | None = None) -> None:
        """Store a file under its own name, in the artifact folder `artifact_path` (default: the top)."""
        with _told(path.name):
            self.store.client.log_artifact(self.id, str(path), artifact_path)

    def finish(self, status: Status, reason: str | None = None) -> None:
        """End the run, once: what is called later changes nothing. Waits for a locked database, never raises.

        `reason` goes to the tag `runback.reason` (its first line).
        """
        if self._ended:
            return
        self._ended = True
        ended_at = int(time.time() * 1000)
        for attempt in range(FINISH_ATTEMPTS):
            try:
                self._end(status, reason, ended_at)
            except MlflowException as error:
                if attempt == FINISH_ATTEMPTS - 1:
                    text = first_line(str(error))
                    _logger.warning("run %s ended as %s, the store does not know: %s", self.id, status, text)
            else:
                return

    def _end(self, status: Status, reason: str | None, ended_at: int) -> None:
        self._curves.send()
        if reason:
            self.store.client.set_tag(self.id, REASON_TAG, first_line(reason))
        self.store.client.set_terminated(self.id, status, ended_at)


def start_run(
    store: Store,
    *,
    experiment: str,
    name: str,
    folder: Path,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    description: str,
    parent: str | None = None,
) -> Run:
    """Create a run with its params and tags and return it, RUNNING. Leaves none behind when that fails.

    `folder` is created; `description` is Markdown; `parent` is the run ID under which the UI shows this one.
    Raises StoreError, and InputError for an experiment that cannot be used.
    """
    known = {
        mlflow_tags.MLFLOW_USER: _user(),
        mlflow_tags.MLFLOW_SOURCE_NAME: "runback",
        mlflow_tags.MLFLOW_SOURCE_TYPE: "LOCAL",
        mlflow_tags.MLFLOW_RUN_NOTE: description,
        **({mlflow_tags.MLFLOW_PARENT_RUN_ID: parent} if parent else {}),
    }
    all_tags = {key: cut(str(value), TAG_LIMIT) for key, value in {**known, **tags}.items()}
    in_experiment = experiment_id(store, experiment)
    with _told("the run"):
        folder.mkdir(parents=True, exist_ok=True)
        created = store.client.create_run(in_experiment, tags=all_tags, run_name=name)
    run = Run(store, created.info.run_id, folder)
    try:
        run.log_params(params)
    except StoreError:
        with contextlib.suppress(MlflowException):
            store.client.delete_run(run.id)
        raise
    return run


def reopen_run(store: Store, run_id: str, folder: Path) -> Run:
    """Return a run that ended, RUNNING again and without its reason to have ended. Raises StoreError.

    Metrics that are in the folder's metrics.jsonl and not in the store, because the run's process was killed
    between the two, go to the store now. Logging a step again that it has changes nothing.
    """
    with _told(f"run {run_id}"):
        folder.mkdir(parents=True, exist_ok=True)
        found = store.client.get_run(run_id)
        if not store.is_server:
            location = store.client.get_experiment(found.info.experiment_id).artifact_location
            refuse_moved(location, store.layout.mlruns)
        for tag in (REASON_TAG, FAILURE_TAG):
            if tag in found.data.tags:
                store.client.delete_tag(run_id, tag)
        store.client.update_run(run_id, status="RUNNING")
    run = Run(store, run_id, folder)
    run.recover_metrics()
    return run


@contextlib.contextmanager
def recording(run: Run) -> Iterator[Run]:
    """Keep the run's status true, however the body ends; what it raises goes on.

    FINISHED; KILLED when it is pruned or interrupted; for anything else FAILED, with the traceback as an
    artifact. The reason goes to the tag `runback.reason`.
    """
    try:
        yield run
    except TrialPruned as pruned:
        step = run.last_step
        run.finish("KILLED", str(pruned) if step is None else f"pruned after epoch {step}")
        raise
    except (Stopped, KeyboardInterrupt) as stop:
        cause = stop.reason if isinstance(stop, Stopped) else "Ctrl-C"
        run.finish("KILLED", f"interrupted: {cause}")
        raise
    except BaseException as error:
        with contextlib.suppress(StoreError):
            run.log_text(redacted(traceback.format_exc()), "traceback.txt")
        run.finish("FAILED", f"{type(error).__name__}: {first_line(str(error))}")
        raise
    run.finish("FINISHED")


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what MLflow and the file system raise into a StoreError that says what could not be stored."""
    try:
        yield
    except (MlflowException, OSError) as error:
        raise StoreError(f"cannot store {what}: {first_line(str(error))}") from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
